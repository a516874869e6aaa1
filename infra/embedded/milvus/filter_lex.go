package milvus

import (
	"fmt"
	"strconv"
	"strings"
)

// tokenKind tells the words of the filter language apart. Operators and keywords are kinds of their own, named as they are
// written.
type tokenKind string

const (
	tokenEnd    tokenKind = "<EOF>"
	tokenIdent  tokenKind = "identifier"
	tokenInt    tokenKind = "integer"
	tokenFloat  tokenKind = "number"
	tokenString tokenKind = "string"
	tokenBool   tokenKind = "boolean"
)

// keywords maps each spelling that Milvus's grammar knows to its kind. Others, NOT and And among them, are identifiers.
var keywords = map[string]tokenKind{
	"and": "and", "or": "or", "not": "not", "in": "in", "like": "like", "LIKE": "like",
	"true": tokenBool, "True": tokenBool, "TRUE": tokenBool, "false": tokenBool, "False": tokenBool, "FALSE": tokenBool,
	"array_contains": "array_contains", "ARRAY_CONTAINS": "array_contains",
	"array_contains_any": "array_contains_any", "ARRAY_CONTAINS_ANY": "array_contains_any",
	"array_contains_all": "array_contains_all", "ARRAY_CONTAINS_ALL": "array_contains_all",
}

// operators in the order in which they are tried: the longer first.
var operators = []struct {
	text string
	kind tokenKind
}{
	{"==", "=="}, {"!=", "!="}, {"<=", "<="}, {">=", ">="}, {"&&", "and"}, {"||", "or"},
	{"<", "<"}, {">", ">"}, {"!", "not"}, {"(", "("}, {")", ")"}, {"[", "["}, {"]", "]"}, {",", ","}, {"-", "-"}, {"+", "+"},
}

type token struct {
	kind tokenKind
	text string // as written; a string literal's value
	at   int    // byte offset
}

// lex cuts expr into tokens; the last is tokenEnd.
func lex(expr string) ([]token, error) {
	var tokens []token
	for at := 0; ; {
		for at < len(expr) && strings.IndexByte(" \t\r\n", expr[at]) >= 0 {
			at++
		}
		if at == len(expr) {
			return append(tokens, token{kind: tokenEnd, text: string(tokenEnd), at: at}), nil
		}
		t, end, err := lexOne(expr, at)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		at = end
	}
}

func lexOne(expr string, at int) (token, int, error) {
	switch c := expr[at]; {
	case c == '"' || c == '\'':
		return lexString(expr, at)
	case isDigit(c) || c == '.' && at+1 < len(expr) && isDigit(expr[at+1]):
		return lexNumber(expr, at)
	case isLetter(c):
		return lexWord(expr, at)
	}
	for _, op := range operators {
		if strings.HasPrefix(expr[at:], op.text) {
			return token{kind: op.kind, text: op.text, at: at}, at + len(op.text), nil
		}
	}
	return token{}, 0, unrecognised(expr, at)
}

func lexWord(expr string, at int) (token, int, error) {
	end := at
	for end < len(expr) && (isLetter(expr[end]) || isDigit(expr[end])) {
		end++
	}
	word := expr[at:end]
	if end < len(expr) && expr[end] == '[' {
		// Milvus reads word[ as an element of a JSON or array field, also where the word is a keyword: in["a"] is no list.
		return token{}, 0, fmt.Errorf("line 1:%d elements of a field are not supported, nor is %q without a space before [", at, word)
	}
	if word == "not" && strings.HasPrefix(expr[end:], " in") && !continues(expr, end+3) {
		return token{kind: "not in", text: "not in", at: at}, end + 3, nil
	}
	kind, ok := keywords[word]
	if !ok {
		kind = tokenIdent
	}
	return token{kind: kind, text: word, at: at}, end, nil
}

// continues tells whether a word goes on at offset at.
func continues(expr string, at int) bool {
	return at < len(expr) && (isLetter(expr[at]) || isDigit(expr[at]) || expr[at] == '[')
}

func lexNumber(expr string, at int) (token, int, error) {
	end := at
	for end < len(expr) {
		c := expr[end]
		exponentSign := (c == '+' || c == '-') && (expr[end-1] == 'e' || expr[end-1] == 'E') && !strings.HasPrefix(expr[at:], "0x")
		if !isDigit(c) && !isLetter(c) && c != '.' && !exponentSign {
			break
		}
		end++
	}
	text := expr[at:end]
	if strings.ContainsRune(text, '_') {
		return token{}, 0, unrecognised(expr, at)
	}
	if _, err := strconv.ParseInt(text, 0, 64); err == nil {
		return token{kind: tokenInt, text: text, at: at}, end, nil
	} else if strings.Trim(text, "0123456789") == "" {
		return token{}, 0, err // out of range
	}
	if strings.Trim(text, "0123456789.eE+-") != "" {
		return token{}, 0, unrecognised(expr, at)
	}
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return token{}, 0, err
	}
	return token{kind: tokenFloat, text: text, at: at}, end, nil
}

// lexString reads a literal in single or double quotes with the escapes of C and Go.
func lexString(expr string, at int) (token, int, error) {
	quote := expr[at]
	var value strings.Builder
	for rest := expr[at+1:]; ; {
		if rest == "" || rest[0] == '\n' || rest[0] == '\r' {
			return token{}, 0, unrecognised(expr, at)
		}
		if rest[0] == quote {
			return token{kind: tokenString, text: value.String(), at: at}, len(expr) - len(rest) + 1, nil
		}
		if rest[0] != '\\' {
			value.WriteByte(rest[0])
			rest = rest[1:]
			continue
		}
		if strings.HasPrefix(rest, `\'`) || strings.HasPrefix(rest, `\"`) {
			value.WriteByte(rest[1])
			rest = rest[2:]
			continue
		}
		r, multibyte, tail, err := strconv.UnquoteChar(rest, quote)
		if err != nil {
			return token{}, 0, unrecognised(expr, at)
		}
		if multibyte {
			value.WriteRune(r)
		} else {
			value.WriteByte(byte(r))
		}
		rest = tail
	}
}

func unrecognised(expr string, at int) error {
	return fmt.Errorf("line 1:%d token recognition error at: %q", at, expr[at:min(at+16, len(expr))])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
