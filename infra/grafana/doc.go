// Package grafana holds what watches Freshet: Grafana's dashboards (one for each role and one for the objectives), Prometheus's
// alert rules, and the files that provision a Grafana with them. It may import nothing of the project.
//
// What always holds in it:
//
//   - dashboards/*.json are written by `go test ./infra/grafana -update` from dashboards.go; nobody edits them.
//   - Every expression of a panel or a rule is one that Parse understands, and names only metrics, labels and label values that
//     the program exposes: the end-to-end test of pipelines/online holds Expressions against a real page of metrics.
//   - Rules are unit-tested by promtool (alerts_test.yaml, alerts_recall_test.yaml).
package grafana
