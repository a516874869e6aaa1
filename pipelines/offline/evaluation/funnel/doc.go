// Package funnel asks the held-out cases of an evaluation through the real recommender, with its index, filters, second stage
// and rules, and tells where the targets were lost on the way from the towers' exact ranking to the page.
//
// It may import schemas, services, consumers/catalogue, pipelines/offline/dataset and pipelines/settings.
//
// What always holds in it:
//
//   - What serves writes what is served: the catalogue goes through consumers/catalogue.Indexer into Redis and Milvus, the histories
//     through services/profiles.Apply, and services/recommender answers. Kafka has no part in what a page holds, and is left out.
//   - Everything lies under names of the run's own, and is removed afterwards.
//   - Each case is of one outcome, so that the outcomes add up to the cases; and the hits of the towers, less the losses and more the
//     gains of each step, are the hits of production.
//   - Ties count against the target, as in pipelines/offline/evaluation.
package funnel
