package grafana

import "fmt"

// Dashboards are all of Freshet's: one for each role that serves, one for the objectives, and one for recall.
func Dashboards() []Dashboard {
	return []Dashboard{interactions(), catalogue(), recommendations(), objectives(), recall()}
}

// quantiles are the median and the 99th percentile of a histogram, for each value of a label where one is given.
func quantiles(histogram, matchers, by string) []query {
	var list []query
	for _, q := range []string{"0.5", "0.99"} {
		labels, legend := "le", "p"+q[2:]
		if by != "" {
			labels, legend = "le, "+by, "{{"+by+"}} "+legend
		}
		list = append(list, query{fmt.Sprintf("histogram_quantile(%s, sum by (%s) (rate(%s_bucket%s[$__rate_interval])))",
			q, labels, histogram, matchers), legend})
	}
	return list
}

// worst is the 99th percentile alone, where the values of a label make enough lines.
func worst(histogram, matchers, by string) query {
	return quantiles(histogram, matchers, by)[1]
}

// rate is how often a counter counts in a second, for each value of a label.
func rate(counter, matchers, by string) query {
	return query{fmt.Sprintf("sum by (%s) (rate(%s%s[$__rate_interval]))", by, counter, matchers), "{{" + by + "}}"}
}

// consuming is what all roles have in common; role ends the names of its group, and topic of what it reads.
func consuming(role, topic string) row {
	group, destination := fmt.Sprintf(`{group=~".+[.]%s"}`, role), fmt.Sprintf(`{messaging_consumer_group_name=~".+[.]%s"}`, role)
	named := fmt.Sprintf(`{topic=~"(.+[.])?%s"}`, topic)
	return row{"Consumer", []Panel{
		graph("Lag in records", count, "Records of each partition that are not done.",
			query{"sum by (topic, partition) (freshet_consumer_lag" + group + ")", "{{topic}}/{{partition}}"}),
		graph("Lag in seconds", seconds, "How long the oldest record of each partition that is not done has waited.",
			query{"max by (topic, partition) (freshet_consumer_lag_time_seconds" + group + ")", "{{topic}}/{{partition}}"}),
		graph("Records read", perSec, "Records that came from the brokers.",
			rate("messaging_client_consumed_messages_total", destination, "messaging_destination_name")),
		graph("Batch size", count, "Records that a handler is given at a time: it grows with the load.",
			quantiles("freshet_consumer_batch_size", named, "")...),
		graph("Time for a batch", seconds, "How long a batch is handled, retries and all.",
			quantiles("messaging_process_duration_seconds", destination, "")...),
		graph("Rebalances, retries, losses", perSec, "Generations joined, batches and records tried again, records lost to retention.",
			query{"sum(rate(freshet_consumer_rebalances_total" + group + "[$__rate_interval]))", "rebalances"},
			query{"sum(rate(freshet_consumer_retries_total" + group + "[$__rate_interval]))", "retries"},
			query{"sum(rate(freshet_consumer_lost_total" + group + "[$__rate_interval]))", "lost records"},
			query{"sum(rate(freshet_consumer_commit_errors_total" + group + "[$__rate_interval]))", "failed commits"}),
		graph("Dead letters", perSec, "Records given up, by reason. `freshet deadletters list` shows them.",
			rate("freshet_dead_letters_total", named, "reason")),
	}}
}

// unlikeKeys shows how many records of a topic have another key than they should have.
func unlikeKeys(topic string) Panel {
	const about = "Such records are applied by their value; but an id under several keys has no order, and compaction keeps one of each key."
	return graph("Keys unlike the id in the value", perSec, about,
		rate("freshet_keys_unlike_total", fmt.Sprintf(`{topic=~"(.+[.])?%s"}`, topic), "key"))
}

// calls shows what is asked of one server.
func calls(server, word string) []Panel {
	return []Panel{
		graph(word+": slowest calls", seconds, "99th percentile of calls and pipelines.",
			worst("db_client_operation_duration_seconds", fmt.Sprintf(`{db_system_name="%s"}`, server), "db_operation_name")),
		graph(word+": calls", perSec, "Calls and pipelines in a second.",
			rate("db_client_operation_duration_seconds_count", fmt.Sprintf(`{db_system_name="%s"}`, server), "db_operation_name")),
		graph(word+": failures", perSec, "Failed calls and pipelines by kind.",
			rate("freshet_server_errors_total", fmt.Sprintf(`{server="%s"}`, server), "kind")),
	}
}

func interactions() Dashboard {
	return dashboard("freshet-interactions", "Freshet / interactions", "Events to profiles and embeddings.",
		row{"Freshness", []Panel{
			graph("Event to embedding, from the broker's timestamp", seconds, "Until the embedding that knows of the event is readable.",
				quantiles("freshet_embedding_freshness_seconds", `{since="broker"}`, "")...),
			graph("Event to embedding, from occurred_at", seconds, "The same from the producer's clock: it shows late events too.",
				quantiles("freshet_embedding_freshness_seconds", `{since="occurred_at"}`, "")...),
			graph("Events", perSec, "Events by what became of them.", rate("freshet_events_total", "", "outcome")),
			graph("Profiles", perSec, "Profiles moved, by whether they were still remembered or had to be read.",
				rate("freshet_profiles_total", "", "source")),
		}},
		row{"Publishers", []Panel{
			unlikeKeys("interactions"),
			graph("Events not used in full", perSec,
				"Ratings off the scale of profiles.ratings, which count as choices, and events before their items' records that nobody waits for.",
				query{"sum(rate(freshet_ratings_off_scale_total[$__rate_interval]))", "ratings off the scale"},
				query{"sum(rate(freshet_events_unheard_total[$__rate_interval]))", "before their items"}),
		}},
		consuming("interactions", "interactions"), row{"Servers", calls("redis", "Redis")})
}

func catalogue() Dashboard {
	return dashboard("freshet-catalogue", "Freshet / catalogue", "Item changes to records and vectors.",
		row{"Freshness", []Panel{
			graph("Item change to searchable, from the broker's timestamp", seconds, "Until Milvus has acknowledged the row.",
				quantiles("freshet_item_freshness_seconds", `{since="broker"}`, "")...),
			graph("Item change to searchable, from occurred_at", seconds, "The same from the producer's clock.",
				quantiles("freshet_item_freshness_seconds", `{since="occurred_at"}`, "")...),
			graph("Items", perSec, "Item changes by what became of them.", rate("freshet_items_total", "", "outcome")),
			graph("Items published again", perSec, "What won over a change that was refused; the log names items, versions and remedy.",
				query{"sum(rate(freshet_items_republished_total[$__rate_interval]))", "items"}),
			unlikeKeys("items"),
		}},
		consuming("catalogue", "items"), row{"Servers", append(calls("milvus", "Milvus"), calls("redis", "Redis")...)})
}

func recommendations() Dashboard {
	return dashboard("freshet-recommendations", "Freshet / recommendations", "Requests to replies.",
		row{"Replies", []Panel{
			graph("Request to reply", seconds, "From the broker's timestamp of the request to the acknowledged reply.",
				quantiles("freshet_reply_duration_seconds", "", "status")...),
			graph("Replies", perSec, "Replies by status.", rate("freshet_replies_total", "", "status")),
			graph("Degraded replies", perSec, "What they had to do without.", rate("freshet_replies_degraded_total", "", "reason")),
			graph("Empty pages", share, "Share of the replies without a single item.",
				query{"sum(rate(freshet_pages_empty_total[$__rate_interval])) / sum(rate(freshet_replies_total[$__rate_interval]))", "empty"}),
			graph("Requests answered together", count, "A batch grows with the load.", quantiles("freshet_stage_batch", "", "")...),
			graph("Requests forgotten", perSec, "Not answered, as their deadline passed more than a minute ago: nobody waits any more.",
				query{"sum(rate(freshet_requests_forgotten_total[$__rate_interval]))", "requests"}),
			graph("Live model", count, "1 for the version that serves, 0 for none.",
				query{"max by (model) (freshet_model_live)", "{{model}}"}),
		}},
		row{"Stages", []Panel{
			graph("Time in each stage, p99", seconds, "Of a batch. A wider retrieval repeats retrieve, records and rank.",
				worst("freshet_stage_duration_seconds", "", "stage")),
			graph("Time in each stage, share", seconds, "Seconds spent in a second: which stage the work goes into.",
				rate("freshet_stage_duration_seconds_sum", "", "stage")),
			graph("Candidates left by each rule", share, "Out divided by in.",
				query{`sum by (rule) (rate(freshet_rule_candidates_total{direction="out"}[$__rate_interval])) / ` +
					`sum by (rule) (rate(freshet_rule_candidates_total{direction="in"}[$__rate_interval]))`, "{{rule}}"}),
		}},
		consuming("recommendations", "requests"), row{"Servers", append(calls("milvus", "Milvus"), calls("redis", "Redis")...)})
}

// within is the share of a histogram's observations up to a boundary. Prometheus's two text formats write 1 as "1" and "1.0".
func within(histogram, matchers, boundary, window string) string {
	return fmt.Sprintf(`sum(rate(%s_bucket{%sle=~"%s"}[%s])) / sum(rate(%s_count{%s}[%s]))`,
		histogram, matchers, boundary, window, histogram, matchers, window)
}

// notInFull are the statuses that Freshet is to blame for: an invalid request is the asker's.
const notInFull = `status=~"degraded|deadline_exceeded|unavailable|internal"`

func objectives() Dashboard {
	const freshness = "freshet_embedding_freshness_seconds"
	late := func(window string) query {
		return query{"(1 - " + within(freshness, `since="broker", `, "1|1[.]0", window) + ") / 0.01", "over " + window}
	}
	return dashboard("freshet-objectives", "Freshet / objectives",
		"99% of events in the embedding within 1 s; 99% of replies within 250 ms; 99% of replies not degraded; recall at its own level.",
		row{"Now", []Panel{
			number("Events fresh within 1 s", share, "Objective: 99%.", redBelow(.99),
				query{within(freshness, `since="broker", `, "1|1[.]0", "5m"), "fresh"}),
			number("Replies within 250 ms", share, "Objective: 99%.", redBelow(.99),
				query{within("freshet_reply_duration_seconds", "", "0[.]25", "5m"), "in time"}),
			number("Replies in full", share, "Objective: 99%.", redBelow(.99),
				query{`1 - (sum(rate(freshet_replies_total{` + notInFull + `}[5m])) or vector(0)) / sum(rate(freshet_replies_total[5m]))`,
					"in full"}),
			number("Longest lag", seconds, "Of any partition of any role.", redFrom(30),
				query{"max(freshet_consumer_lag_time_seconds)", "lag"}),
			number("Dead letters in an hour", count, "Of any topic.", redFrom(1),
				query{"sum(increase(freshet_dead_letters_total[1h]))", "dead letters"}),
			number("Live models", count, "One model serves.", redBelow(1), query{"max(freshet_model_live)", "live"}),
		}},
		row{"Error budgets", []Panel{
			graph("Freshness: burn rate", count, "1 uses the budget up just at the end of its period; 14.4 uses 2% of a month's in an hour.",
				late("5m"), late("1h"), late("6h")),
			graph("Replies: latency", seconds, "All replies.", quantiles("freshet_reply_duration_seconds", "", "")...),
			graph("Replies: degraded or failed", share, "Share of each status but ok and of requests that were wrong.",
				query{`sum by (status) (rate(freshet_replies_total{` + notInFull + `}[$__rate_interval])) / on() group_left() ` +
					`sum(rate(freshet_replies_total[$__rate_interval]))`, "{{status}}"}),
		}},
		row{"Recall", []Panel{
			number("Recall, of its level", share, "Recall@10 of the last hour by that of the day before it. Objective: 70%, of many cases.",
				redBelow(.7), query{recallOf("1h", "") + " / (" + recallOf("1d", " offset 1h") + ")", "{{source}}"}),
			number("Age of recall", seconds, "How long ago the last window ended that role recall looked at.", redFrom(900),
				query{"max(freshet_recall_age_seconds)", "age"}),
			graph("Recall at k = 10", share, "Over an hour, and over the day before that hour. Dashboard \"Freshet / recall\" has the parts.",
				query{recallOf("1h", ""), "{{source}}"}, query{recallOf("1d", " offset 1h"), "{{source}}, the day before"}),
			graph("Cases", count, "Next interactions that were looked for within an hour: few cases make recall swing.",
				query{`sum by (source) (increase(freshet_recall_events_total{segment="all"}[1h]))`, "{{source}}"}),
		}},
		row{"Members", []Panel{
			graph("Members that are ready", count, "Of each role.", query{"sum by (role) (freshet_ready)", "{{role}}"}),
			graph("Members that are seen", count, "Processes that Prometheus can read.", query{`sum by (job) (up{job="freshet"})`, "{{job}}"}),
			graph("Failures of servers", perSec, "Failed calls to Redis and Milvus.",
				query{"sum by (server, kind) (rate(freshet_server_errors_total[$__rate_interval]))", "{{server}} {{kind}}"}),
		}})
}

// recallOf is recall@10 of all users by source, over a window that ended some time ago.
func recallOf(window, ago string) string {
	return fmt.Sprintf(`sum by (source) (increase(freshet_recall_hits_total{segment="all", k="10"}[%[1]s]%[2]s)) / `+
		`sum by (source) (increase(freshet_recall_events_total{segment="all"}[%[1]s]%[2]s))`, window, ago)
}

// found is the share of hits by a source, over a window, for each value of a label.
func found(source, matchers, by, window string) query {
	return query{fmt.Sprintf(`sum by (%s) (increase(freshet_recall_hits_total{source="%s"%s}[%s])) / on(%s) `+
		`sum by (%s) (increase(freshet_recall_events_total{source="%s"}[%s]))`,
		by, source, matchers, window, by, by, source, window), "{{" + by + "}}"}
}

// at is the share of hits by a source for each k.
func at(source, segment, window string) query {
	const hitsOfEvents = `sum by (k) (increase(freshet_recall_hits_total{source="%[1]s", segment="%[2]s"}[%[3]s])) / ` +
		`on() group_left() sum(increase(freshet_recall_events_total{source="%[1]s", segment="%[2]s"}[%[3]s]))`
	return query{fmt.Sprintf(hitsOfEvents, source, segment, window), "k = {{k}}"}
}

func recall() Dashboard {
	const window = "15m"
	const about = "How often the next interaction was among the first k, measured by role recall."
	return dashboard("freshet-recall", "Freshet / recall", about,
		row{"Recall", []Panel{
			graph("By the embedding", share, "Among the first k unseen items by the user's embedding just before the event. Over 15 minutes.",
				at("embedding", "all", window)),
			graph("On the page", share, "On the last page before the event, where there was one. Over 15 minutes.", at("page", "all", window)),
			graph("By the embedding at k = 10, by users", share, "New users have few events behind them.",
				found("embedding", `, k="10"`, "segment", window)),
			graph("On the page at k = 10, by users", share, "The fallback serves users without an embedding.",
				found("page", `, k="10"`, "segment", window)),
		}},
		row{"What it is made from", []Panel{
			graph("Events", perSec, "Next interactions that were looked for.",
				query{`sum by (source) (rate(freshet_recall_events_total{segment="all"}[$__rate_interval]))`, "{{source}}"}),
			graph("Share of the users", share, "It is halved when the sample has max_users.", query{"max(freshet_recall_sample_share)", "share"}),
			graph("Users in memory", count, "Of the sample.", query{"max(freshet_recall_sample_users)", "users"}),
			graph("Age", seconds, "How long ago the last window ended that was looked at. A new window each period.",
				query{"max(freshet_recall_age_seconds)", "age"}),
		}})
}
