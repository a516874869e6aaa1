package grafana

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the dashboards anew")

func TestTheFilesAreWhatTheCodeSays(t *testing.T) {
	names := map[string]bool{}
	for _, d := range Dashboards() {
		want, err := d.encode()
		require.NoError(t, err)
		name := filepath.Join("dashboards", d.UID+".json")
		names[filepath.Base(name)] = true
		if *update {
			require.NoError(t, os.WriteFile(name, want, 0o600))
		}
		got, err := os.ReadFile(name)
		require.NoError(t, err, "run go test ./infra/grafana -update")
		require.Equal(t, string(want), string(got), "%s: run go test ./infra/grafana -update", name)
	}
	found, err := os.ReadDir("dashboards")
	require.NoError(t, err)
	for _, file := range found {
		require.True(t, names[file.Name()], "%s belongs to no dashboard", file.Name())
	}
}

// plain is what Grafana reads, without our types.
type plain struct {
	UID           string
	Title         string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Query string }
	}
	Panels []struct {
		ID          int
		Type, Title string
		Description string
		GridPos     struct{ X, Y, W, H int }
		Datasource  struct{ Type, UID string }
		FieldConfig struct{ Defaults struct{ Unit string } }
		Targets     []struct{ RefID, Expr, LegendFormat string }
	}
}

var title = regexp.MustCompile(`^\p{Lu}[^{}]{2,70}$`)

func TestDashboardsLoad(t *testing.T) {
	files, err := filepath.Glob("dashboards/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(Dashboards()))
	uids := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var d plain
		require.NoError(t, json.Unmarshal(text, &d))
		require.Regexp(t, `^freshet-[a-z]+$`, d.UID, file)
		require.False(t, uids[d.UID], "uid %s is taken", d.UID)
		uids[d.UID] = true
		require.Regexp(t, `^Freshet / [a-z]+$`, d.Title, file)
		require.GreaterOrEqual(t, d.SchemaVersion, 36, file)
		require.Equal(t, "datasource", d.Templating.List[0].Name)
		require.Equal(t, "prometheus", d.Templating.List[0].Query)
		taken, ids := map[[2]int]string{}, map[int]bool{}
		for _, p := range d.Panels {
			require.Regexp(t, title, p.Title, file)
			require.False(t, ids[p.ID], "%s: panel %q: id %d is taken", file, p.Title, p.ID)
			ids[p.ID] = true
			require.Positive(t, p.GridPos.W)
			require.Positive(t, p.GridPos.H)
			require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, "%s: %s", file, p.Title)
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					require.Empty(t, taken[[2]int{x, y}], "%s: %q overlaps", file, p.Title)
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type == "row" {
				continue
			}
			require.Equal(t, "${datasource}", p.Datasource.UID, "%s: %s", file, p.Title)
			require.NotEmpty(t, p.Description, "%s: %s", file, p.Title)
			require.Contains(t, []string{seconds, count, perSec, share}, p.FieldConfig.Defaults.Unit, "%s: %s", file, p.Title)
			require.NotEmpty(t, p.Targets, "%s: %s", file, p.Title)
			for _, target := range p.Targets {
				require.NotEmpty(t, target.RefID)
				require.NotEmpty(t, target.LegendFormat, "%s: %s", file, p.Title)
			}
		}
	}
}

func TestProvisioningIsYAML(t *testing.T) {
	files, err := filepath.Glob("provisioning/*/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var content struct {
			APIVersion  int              `yaml:"apiVersion"`
			Datasources []map[string]any `yaml:"datasources"`
			Providers   []map[string]any `yaml:"providers"`
		}
		require.NoError(t, yaml.Unmarshal(text, &content), file)
		require.Equal(t, 1, content.APIVersion, file)
		require.Len(t, append(content.Datasources, content.Providers...), 1, file)
	}
}

func TestAlertsSayWhatToDo(t *testing.T) {
	rules, err := rulesOf(files)
	require.NoError(t, err)
	require.Len(t, rules, 16)
	names := map[string]bool{}
	for _, r := range rules {
		require.Regexp(t, `^Freshet[A-Z][A-Za-z]+$`, r.Alert)
		require.False(t, names[r.Alert], r.Alert)
		names[r.Alert] = true
		require.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		require.NotEmpty(t, r.Annotations["description"], r.Alert)
	}
}
