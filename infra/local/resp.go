package local

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// redisAt is how to reach one Redis server.
type redisAt struct {
	address        string
	tls            *tls.Config
	user, password string
}

// redisError is an error that the server answered, as against one of the connection.
type redisError string

func (e redisError) Error() string { return string(e) }

// call sends one command over a connection of its own (RESP 2) and returns the reply: a string, an int64, nil or a list.
func (at redisAt) call(ctx context.Context, words ...string) (any, error) {
	var conn net.Conn
	var err error
	if at.tls != nil {
		conn, err = (&tls.Dialer{Config: at.tls}).DialContext(ctx, "tcp", at.address)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", at.address)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	deadline, bounded := ctx.Deadline()
	if !bounded {
		deadline = time.Now().Add(probeTimeout)
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	if at.user != "" {
		if _, err := exchange(conn, in, "AUTH", at.user, at.password); err != nil {
			return nil, fmt.Errorf("authenticating as %s: %w", at.user, err)
		}
	}
	return exchange(conn, in, words...)
}

func exchange(out io.Writer, in *bufio.Reader, words ...string) (any, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(out, text.String()); err != nil {
		return nil, err
	}
	return readReply(in)
}

func readReply(in *bufio.Reader) (any, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return nil, errors.New("reading a reply: an empty line")
	}
	switch rest := line[1:]; line[0] {
	case '+':
		return rest, nil
	case '-':
		return nil, redisError(rest)
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	case '$':
		return readBulk(in, rest)
	case '*':
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return nil, err
		}
		list := make([]any, n)
		for i := range list {
			if list[i], err = readReply(in); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("reading a reply: %q is no RESP 2", line)
}

func readBulk(in io.Reader, length string) (any, error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 {
		return nil, err
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(in, text); err != nil {
		return nil, err
	}
	return string(text[:n]), nil
}
