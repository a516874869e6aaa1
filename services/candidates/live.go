package candidates

import (
	"context"
	"fmt"
	"strings"
)

// Collection is the collection of a model version. Milvus gives each collection that is made an ID of its own: one that was
// dropped and made again under its name has another.
type Collection struct {
	Model string
	ID    int64
}

// Collection describes the collection of a model version. IsNotFound tells that there is none.
func (ix *Index) Collection(ctx context.Context, model string) (Collection, error) {
	name, err := ix.cfg.name(model)
	if err != nil {
		return Collection{}, err
	}
	ctx, cancel := ix.within(ctx)
	defer cancel()
	c, err := ix.client.DescribeCollection(ctx, name)
	if err != nil {
		return Collection{}, fmt.Errorf("describing collection %s: %w", name, err)
	}
	return Collection{Model: model, ID: c.ID}, nil
}

// LastLive is what Live found last, without asking: nil before its first answer, a Collection without a model where none was
// live.
func (ix *Index) LastLive() *Collection { return ix.lastLive.Load() }

// Live returns the model version whose collection the alias names. IsNoLive tells that there is none.
func (ix *Index) Live(ctx context.Context) (string, error) {
	ctx, cancel := ix.within(ctx)
	defer cancel()
	c, err := ix.client.DescribeCollection(ctx, ix.cfg.Alias)
	if IsNotFound(err) {
		ix.lastLive.Store(&Collection{})
		return "", fmt.Errorf("alias %s: %w", ix.cfg.Alias, errNoLive)
	}
	if err != nil {
		return "", fmt.Errorf("resolving alias %s: %w", ix.cfg.Alias, err)
	}
	model, ours := strings.CutPrefix(c.Schema.CollectionName, ix.cfg.Collection+"_")
	if !ours {
		return "", fmt.Errorf("alias %s names collection %s, which is no %s_<model>: drop the alias or choose another",
			ix.cfg.Alias, c.Schema.CollectionName, ix.cfg.Collection)
	}
	ix.lastLive.Store(&Collection{Model: model, ID: c.ID})
	return model, nil
}

// SwitchLive makes the collection of a model version the live one, in one step: a reader sees the old or the new, never none. A
// collection that is not loaded is refused, since searches on it would fail.
func (ix *Index) SwitchLive(ctx context.Context, model string) error {
	name, err := ix.cfg.name(model)
	if err != nil {
		return err
	}
	loaded, err := ix.Loaded(ctx, model)
	if err != nil {
		return err
	}
	if !loaded {
		return fmt.Errorf("switching alias %s to %s: the collection is not loaded, fill and load it first", ix.cfg.Alias, name)
	}
	ctx, cancel := ix.within(ctx)
	defer cancel()
	err = ix.client.AlterAlias(ctx, name, ix.cfg.Alias)
	if hasCode(err, codeAliasNotFound) {
		// Two processes may both find no alias. Then the slower one's CreateAlias is refused, and the alias is there to alter.
		if err = ix.client.CreateAlias(ctx, name, ix.cfg.Alias); hasCode(err, codeAliasExists) {
			err = ix.client.AlterAlias(ctx, name, ix.cfg.Alias)
		}
	}
	if err != nil {
		return fmt.Errorf("switching alias %s to %s: %w", ix.cfg.Alias, name, err)
	}
	return nil
}
