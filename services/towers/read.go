package towers

import "path/filepath"

// ReadWeights reads and verifies a bundle whole, for whoever trains it further or writes it in another form. The heads'
// embeddings are scaled as they are served: with several heads, each to its share of the mean. A bundle of foreign towers
// gives an error that IsUnsupported: their weights are not at hand.
func ReadWeights(dir string) (*Bundle, error) {
	m, err := LoadManifest(dir)
	if err != nil {
		return nil, err
	}
	if m.Engine != "" {
		return nil, refuse(unsupported, dir, "name a bundle that freshet train wrote, or train the towers further where they came from",
			"its engine is %q: the weights are inside models that were trained elsewhere, and only run here", m.Engine)
	}
	items, err := LoadItemTower(dir)
	if err != nil {
		return nil, err
	}
	users, err := LoadUserTower(dir)
	if err != nil {
		return nil, err
	}
	if items.version != m.Version || users.version != m.Version {
		return nil, refuse(corrupted, filepath.Join(dir, manifestFile), "read it again", "was replaced while it was read")
	}
	return &Bundle{
		Version: m.Version, Created: m.Created, Vocabulary: m.Features.Vocabulary, Data: m.Data, Metrics: m.Metrics,
		Commit: m.Commit, From: m.From, Recipe: m.Recipe,
		Items: items.Weights(), Users: users.Heads(),
	}, nil
}
