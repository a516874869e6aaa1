package rules

import (
	"sync"

	"github.com/expr-lang/expr/vm"

	"github.com/freshet/freshet/schemas"
)

// evaluator holds what conditions need of one request: its values, and the machine for those that are programs.
type evaluator struct {
	vm  vm.VM
	env environment
	// filled is the item that env holds: it is copied only once a program asks for it.
	filled    *schemas.ItemChange
	nowMillis int64
}

var evaluators = sync.Pool{New: func() any { return new(evaluator) }}

func newEvaluator(r *Request) *evaluator {
	e := evaluators.Get().(*evaluator)
	e.fill(r)
	return e
}

func (e *evaluator) fill(r *Request) {
	e.env.Request.fill(r)
	e.nowMillis = r.Now.UnixMilli()
}

// release gives the evaluator back without a hold on the request's items.
func (e *evaluator) release() {
	e.env, e.filled = environment{}, nil
	evaluators.Put(e)
}

func (e *evaluator) run(code *vm.Program, it *schemas.ItemChange) (bool, error) {
	if e.filled != it {
		e.env.Item.fill(it, e.nowMillis)
		e.filled = it
	}
	out, err := e.vm.Run(code, &e.env)
	if err != nil {
		return false, err
	}
	holds, ok := out.(bool)
	if !ok {
		return false, errUnexpectedValue
	}
	return holds, nil
}
