package online

import (
	"context"
	"log/slog"

	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/services/towers"
)

// Connect connects to what roles need, for work beside them. None of them is started.
func Connect(ctx context.Context, s settings.Settings, roles []Role, log *slog.Logger) (*Connections, error) {
	return connect(ctx, s, needsOf(roles), log)
}

// ItemTower is the item tower of the configured bundle; nil where no role needs it.
func (c *Connections) ItemTower() *towers.ItemTower { return c.itemTower }
