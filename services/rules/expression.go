package rules

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// ExpressionError says what is wrong with an expression, where, and what to do about it.
type ExpressionError struct {
	// Line and Column count from 1, columns in characters.
	Line, Column    int
	Problem, Remedy string
}

func (e *ExpressionError) Error() string {
	return fmt.Sprintf("line %d, character %d: %s: %s", e.Line, e.Column, e.Problem, e.Remedy)
}

// scope says what the names in an expression may be.
type scope uint8

const (
	// ruleScope sees item and request.
	ruleScope scope = iota
	// requestScope sees request alone: conditions of rules that look at no single item.
	requestScope
	// filterScope sees item alone, by the narrow grammar of filterGrammar.
	filterScope
)

// expression is a checked boolean expression in predicate form.
type expression struct {
	source string
	root   template
}

// maxExpressionBytes keeps the parser, which goes one frame deeper with each bracket, far from the end of the stack.
const maxExpressionBytes = 64 << 10

// compile checks an expression and brings it into predicate form.
func compile(source string, s scope) (*expression, error) {
	if len(source) > maxExpressionBytes {
		return nil, &ExpressionError{
			Line: 1, Column: 1, Problem: fmt.Sprintf("the expression has %d bytes", len(source)),
			Remedy: fmt.Sprintf("at most %d are allowed", maxExpressionBytes),
		}
	}
	config := newConfig()
	if s == filterScope {
		config.MaxNodes = maxFilterNodes
	}
	tree, err := parser.ParseWithConfig(source, config)
	if err != nil {
		return nil, fromExpr(err)
	}
	src := tree.Source
	if err := checkNames(tree, s); err != nil {
		return nil, err
	}
	if s == filterScope {
		if err := checkFilterGrammar(tree); err != nil {
			return nil, err
		}
	}
	config.Expect = reflect.Bool
	if _, err := checker.Check(tree, config); err != nil {
		return nil, fromExpr(err)
	}
	if s == filterScope {
		if err := checkFilterTypes(tree); err != nil {
			return nil, err
		}
	}
	b := &builder{source: src, config: config}
	root := b.build(tree.Node, false)
	if b.err != nil {
		return nil, fromExpr(b.err)
	}
	return &expression{source: source, root: root}, nil
}

func newConfig() *conf.Config { return conf.New(environment{}) }

// compileNode makes a program of one part of a checked tree. expect is reflect.Invalid for any type.
func (b *builder) compileNode(n ast.Node, expect reflect.Kind) (_ *vm.Program, err error) {
	// expr's optimiser and compiler panic on a few trees that its checker lets through.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot be compiled: %v", r)
		}
	}()
	b.config.Expect = expect
	if err := optimizer.Optimize(&n, b.config); err != nil {
		return nil, err
	}
	return compiler.Compile(&parser.Tree{Node: n, Source: b.source}, b.config)
}

// fromExpr turns an error of the expr packages into one that names place and remedy.
func fromExpr(err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		problem, _, _ := strings.Cut(err.Error(), "\n")
		return &ExpressionError{Line: 1, Column: 1, Problem: problem, Remedy: remedyFor(problem)}
	}
	return &ExpressionError{Line: max(1, at.Line), Column: at.Column + 1, Problem: at.Message, Remedy: remedyFor(at.Message)}
}

func remedyFor(problem string) string {
	switch {
	case strings.Contains(problem, "maximum allowed nodes"):
		return "use a shorter expression"
	case strings.Contains(problem, "expected bool"):
		return "make it a condition, such as item.price < 20"
	case strings.Contains(problem, "mismatched types"), strings.Contains(problem, "invalid operation"):
		return "compare text with text in quotes, and numbers with numbers"
	case strings.Contains(problem, "unexpected"), strings.Contains(problem, "literal"), strings.Contains(problem, "unrecognized"):
		return `write a condition such as item.price < 20 and "shoes" in item.categories`
	default:
		return "see https://expr-lang.org/docs/language-definition for the language"
	}
}
