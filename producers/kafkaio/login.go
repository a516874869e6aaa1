package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"

	"github.com/freshet/freshet/schemas/secure"
)

// login says who we are on a new connection, before kafka-go gets it (KIP-43, KIP-152). kafka-go would do so without a deadline
// and, where a broker hangs up on a wrong password, call that a connection which broke: then nobody would ever stop trying.
func login(ctx context.Context, conn net.Conn, clientID string, m sasl.Mechanism) error {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	// The reader of pc may not take more than the answers: a broker sends nothing unasked.
	pc := protocol.NewConn(conn, clientID)
	pc.SetVersions(map[protocol.ApiKey]int16{protocol.SaslHandshake: 1, protocol.SaslAuthenticate: 0})
	if err := agreeOnMechanism(pc, m.Name()); err != nil {
		return err
	}
	session, message, err := m.Start(ctx)
	for done := false; err == nil && !done; {
		var challenge []byte
		if challenge, err = authenticate(pc, message); err == nil {
			// An error here is a broker that cannot prove that it knows the password.
			done, message, err = session.Next(ctx, challenge)
			err = secure.Refused(secure.Credentials, err)
		}
	}
	if err != nil {
		return fmt.Errorf("with SASL %s: %w", m.Name(), err)
	}
	return conn.SetDeadline(time.Time{})
}

func agreeOnMechanism(pc *protocol.Conn, name string) error {
	answer, err := pc.RoundTrip(&saslhandshake.Request{Mechanism: name})
	if err != nil {
		return fmt.Errorf("offering SASL %s: %w", name, err)
	}
	agreed, ok := answer.(*saslhandshake.Response)
	switch {
	case !ok:
		return fmt.Errorf("offering SASL %s: the answer is a %T", name, answer)
	case kafka.Error(agreed.ErrorCode) == kafka.UnsupportedSASLMechanism:
		return fmt.Errorf("offering SASL %s: %w (the listener takes %s)",
			name, kafka.UnsupportedSASLMechanism, strings.Join(agreed.Mechanisms, ", "))
	case agreed.ErrorCode != 0:
		return fmt.Errorf("offering SASL %s: %w", name, kafka.Error(agreed.ErrorCode))
	}
	return nil
}

// authenticate sends one message of the conversation. A broker may refuse a user by hanging up.
func authenticate(pc *protocol.Conn, message []byte) ([]byte, error) {
	answer, err := pc.RoundTrip(&saslauthenticate.Request{AuthBytes: message})
	for _, hungUp := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET} {
		if errors.Is(err, hungUp) {
			return nil, fmt.Errorf("%w: the broker hung up", kafka.SASLAuthenticationFailed)
		}
	}
	if err != nil {
		return nil, err
	}
	said, ok := answer.(*saslauthenticate.Response)
	switch {
	case !ok:
		return nil, fmt.Errorf("the answer is a %T", answer)
	case said.ErrorCode != 0 && said.ErrorMessage != "":
		return nil, fmt.Errorf("%w: %s", kafka.Error(said.ErrorCode), said.ErrorMessage)
	case said.ErrorCode != 0:
		return nil, kafka.Error(said.ErrorCode)
	}
	return said.AuthBytes, nil
}
