// Package online wires the long-running roles from one configuration and runs them: interactions, catalogue and
// recommendations, in one process or in many, and recall, in one.
//
// It may import everything but main and the other pipelines' commands.
//
// What always holds in it:
//
//   - Roles start only when what they need is there, in the order registry, topics, model, Redis, Milvus; an error names
//     what is missing and how to mend it.
//   - A role connects only to what it uses, and loads only the tower that it uses.
//   - Roles stop in order: the consumers first finish what they hold, then the recommender answers what waits, then the
//     writer flushes, then the connections close.
package online
