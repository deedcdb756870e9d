//! What is wrong with a job is said exactly: field, line, message and hint, all at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rstest::rstest;
use teasel_api::validate;

const MINIMAL: &str = include_str!("jobs/minimal.yaml");
const SCHEDULE: &str = include_str!("jobs/schedule.yaml");
const FULL: &str = include_str!("jobs/full.yaml");

/// Violations of `yaml` after replacing `from` by `to`, which must be there.
fn violations(yaml: &str, from: &str, to: &str) -> Vec<String> {
    assert!(yaml.contains(from), "{from:?} isn't in the text");
    validate(&yaml.replacen(from, to, 1)).iter().map(ToString::to_string).collect()
}

#[rstest]
#[case::good("", "", &[])]
#[case::unknown_field("training: {}", "training: {worker: 2}", &["line 12: spec.training.worker: is no known field (did you mean workers?)"])]
#[case::unknown_far("training: {}", "training: {zzz: 2}", &["line 12: spec.training.zzz: is no known field"])]
#[case::unknown_in_list("{name: all,", "{name: all, topk: 5,", &["line 15: spec.scoring.tenants[0].topk: is no known field (did you mean topK?)"])]
#[case::unknown_metadata("name: films", "name: films\n  lables: {a: b}", &["line 5: metadata.lables: is no field of metadata"])]
#[case::unknown_top("metadata:", "specs: {}\nmetadata:", &["line 3: specs: is no known field (did you mean spec?)"])]
#[case::wrong_type("training: {}", "training: {workers: two}", &["line 12: spec.training.workers: must be a whole number, not the text \"two\""])]
#[case::fraction("training: {}", "training: {workers: 1.5}", &["line 12: spec.training.workers: must be a whole number, not 1.5"])]
#[case::number_for_text("user: user_id", "user: 5", &["line 10: spec.data.interactions.columns.user: must be a text, not 5 (put it in quotes: \"5\")"])]
#[case::list_for_object("training: {}", "training: [1]", &["line 12: spec.training: must be an object, not a list"])]
#[case::yes_for_true("training: {}", "suspend: yes", &["line 12: spec.suspend: must be true or false, not the text \"yes\""])]
#[case::choice("model: {}", "model: {likelihood: gaussian}", &["line 11: spec.model.likelihood: must be one of Multinomial, Gaussian, not \"gaussian\" (did you mean Gaussian?)"])]
#[case::missing("    tenants:\n      - {name: all, output: {uri: \"s3://all/recs\"}}\n", "    topK: 3\n", &["line 13: spec.scoring.tenants: is required"])]
#[case::null("{uri: \"s3://teasel/films\"}", "", &["line 6: spec.storage: is required"])]
#[case::below("training: {}", "training: {workers: 0}", &["line 12: spec.training.workers: must be at least 1 and at most 1000, not 0"])]
#[case::above("training: {}", "training: {workers: 1001}", &["line 12: spec.training.workers: must be at least 1 and at most 1000, not 1001"])]
#[case::negative("training: {}", "training: {seed: -1}", &["line 12: spec.training.seed: must be at least 0 and at most 9007199254740991, not -1"])]
#[case::too_large("training: {}", "training: {epochs: 4294967296}", &["line 12: spec.training.epochs: must be at least 1 and at most 4294967295, not 4294967296"])]
#[case::zero_temperature("model: {}", "model: {temperature: 0}", &["line 11: spec.model.temperature: must be above 0, not 0"])]
#[case::full_dropout("model: {}", "model: {dropout: 1}", &["line 11: spec.model.dropout: must be at least 0 and below 1, not 1"])]
#[case::duration("training: {}", "training: {checkpoint: {interval: 5 minutes}}", &["line 12: spec.training.checkpoint.interval: must be hours, minutes and seconds, such as 5m, 90s or 1h30m, not \"5 minutes\""])]
#[case::zero_duration("training: {}", "training: {schedulingTimeout: 0s}", &["line 12: spec.training.schedulingTimeout: must be at least 1s"])]
#[case::metric("training: {}", "training: {earlyStopping: {metric: NDCG}}", &["line 12: spec.training.earlyStopping.metric: must be ndcg@K, recall@K or map@K, not \"NDCG\" (for example ndcg@100)"])]
#[case::cuda("training: {}", "training: {device: Cuda, workers: 2, processesPerWorker: 8}", &[])]
#[case::device("training: {}", "training: {device: cuda}", &["line 12: spec.training.device: must be one of Cpu, Cuda, not \"cuda\" (did you mean Cuda?)"])]
#[case::content("model: {}", "model: {content: {}}", &["line 11: spec.model.content: needs text, image or both"])]
#[case::content_columns("model: {}", "model: {content: {text: {encoder: {location: {uri: encoder}}}, image: {encoder: {location: {uri: \"s4://encoder\"}}}}}", &[
    "line 11: spec.model.content.text: needs a column of items' texts (name it in data.items.columns.text)",
    "line 11: spec.model.content.image: needs a column of items' images (name it in data.items.columns.image)",
    "line 11: spec.model.content.image.encoder.location.uri: must start with file://, s3://, gs://, az://, not s4://",
])]
#[case::hybrid("model: {}", "model: {hybrid: {type: Auto}}", &["line 11: spec.model.hybrid: hybrids are not supported yet (leave it out)"])]
#[case::condition("model: {}", "model: {conditions: {independence: 0.5, consistency: 0}}", &["line 11: spec.model.conditions.independence: trained conditions are not supported yet (leave it out)"])]
#[case::gaussian("model: {}", "model: {gaussian: {varianceFloor: 0.1}}", &["line 11: spec.model.gaussian: goes with likelihood Gaussian"])]
#[case::template("training: {}", "training:\n    template:\n      spec:\n        nodeselector: {a: b}", &["line 15: spec.training.template.spec.nodeselector: is no field of a pod template"])]
#[case::no_tenants("tenants:\n      - {name: all, output: {uri: \"s3://all/recs\"}}", "tenants: []", &["line 14: spec.scoring.tenants: must have at least 1 element"])]
#[case::tenant_name("name: all", "name: All Users", &["line 15: spec.scoring.tenants[0].name: must be a DNS label: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends (for example all-users)"])]
#[case::tenant_value("{name: all,", "{name: all, value: x,", &["line 15: spec.scoring.tenants[0].value: needs a column that says whose user it is (name the column in data.interactions.columns.tenant)"])]
#[case::same_tenant("- {name: all,", "- {name: all, output: {uri: \"s3://other\"}}\n      - {name: all,", &["line 16: spec.scoring.tenants[1].name: must not be the same as spec.scoring.tenants[0].name"])]
#[case::same_output("- {name: all,", "- {name: other, output: {uri: \"s3://all/recs/\"}}\n      - {name: all,", &["line 16: spec.scoring.tenants[1].output.uri: must not be the same as spec.scoring.tenants[0].output.uri"])]
#[case::scheme("s3://teasel/films", "s4://teasel/films", &["line 6: spec.storage.uri: must start with file://, s3://, gs://, az://, not s4://"])]
#[case::secret_name("storage: {uri: \"s3://teasel/films\"}", "storage: {uri: \"s3://teasel/films\", secretRef: {name: My_Secret}}", &["line 6: spec.storage.secretRef.name: must be a DNS name: a-z, 0-9, - and ., with a letter or digit at both ends"])]
#[case::same_column("item: item_id", "item: user_id", &["line 10: spec.data.interactions.columns.item: must not be the same column as user"])]
#[case::empty_column("item: item_id", "item: ''", &["line 10: spec.data.interactions.columns.item: must not be empty"])]
#[case::events("columns:", "events: {view: 1, buy: 0}\n      columns:", &[
    "line 10: spec.data.interactions.events: needs a column that says the kind of behaviour (name it in columns.event)",
    "line 10: spec.data.interactions.events.buy: must be above 0, not 0 (an event that isn't listed is dropped)",
])]
#[case::rating("columns:", "minimumRating: 4\n      columns:", &["line 10: spec.data.interactions.minimumRating: needs a column of ratings (name it in columns.rating)"])]
#[case::bad_rows("columns:", "maximumBadRows: 4\n      columns:", &["line 10: spec.data.interactions.maximumBadRows: goes with onBadRows Skip"])]
#[case::no_shares_left("model: {}", "  split: {strongGeneralization: {validation: 0.5, test: 0.5}}", &["line 11: spec.data.split.strongGeneralization: validation 0.5 and test 0.5 leave no users to train on"])]
#[case::no_share("model: {}", "  split: {strongGeneralization: {heldOut: 0}}", &["line 11: spec.data.split.strongGeneralization.heldOut: must be above 0 and below 1, not 0"])]
#[case::large_share("model: {}", "  split: {strongGeneralization: {test: 1.5}}", &["line 11: spec.data.split.strongGeneralization.test: must be at least 0 and at most 1, not 1.5"])]
#[case::no_times("model: {}", "  split: {type: LeaveLastOut}", &["line 11: spec.data.split.type: LeaveLastOut needs a column of times (name it in data.interactions.columns.timestamp)"])]
#[case::not_provided("model: {}", "  split: {type: Provided}", &["line 11: spec.data.split.provided: is required with type Provided"])]
#[case::wrong_member("model: {}", "  split: {type: LeaveLastOut, strongGeneralization: {}}", &[
    "line 11: spec.data.split.strongGeneralization: goes with type StrongGeneralization",
    "line 11: spec.data.split.type: LeaveLastOut needs a column of times (name it in data.interactions.columns.timestamp)",
])]
#[case::two_bounds("model: {}", "gates: [{metric: ndcg@10, minimum: 0.1, relativeToPublished: 1}]", &["line 11: spec.gates[0]: must have exactly one of minimum, relativeToPublished and relativeTo"])]
#[case::no_bound("model: {}", "gates: [{metric: ndcg@10}]", &["line 11: spec.gates[0]: must have exactly one of minimum, relativeToPublished and relativeTo"])]
#[case::long_name("name: films", "name: a-name-that-is-much-longer-than-forty-chars", &["line 4: metadata.name: must have at most 40 characters, not 43"])]
#[case::no_name("name: films", "labels: {}", &["line 3: metadata.name: is required"])]
#[case::no_metadata("metadata:\n  name: films", "", &["line 1: metadata: is required"])]
#[case::version("v1alpha1", "v1", &["line 1: apiVersion: must be teasel.dev/v1alpha1, not \"teasel.dev/v1\""])]
#[case::kind("RecommenderJob", "RecomenderJob", &["line 2: kind: must be RecommenderJob or ScheduledRecommenderJob, not \"RecomenderJob\" (did you mean RecommenderJob?)"])]
#[case::form_and_meaning_at_once("training: {}", "training: {worker: 2, schedulingTimeout: 0s, epochs: 0}", &[
    "line 12: spec.training.worker: is no known field (did you mean workers?)",
    "line 12: spec.training.epochs: must be at least 1 and at most 4294967295, not 0",
    "line 12: spec.training.schedulingTimeout: must be at least 1s",
])]
fn a_bad_job_is_refused_with_every_reason(#[case] from: &str, #[case] to: &str, #[case] expected: &[&str]) {
    assert_eq!(violations(MINIMAL, from, to), expected);
}

#[rstest]
#[case("", "", &[])]
#[case("15 3 * * *", "15 3 * *", &["line 5: spec.schedule: must have five fields (minute, hour, day of month, month, day of week), not 4"])]
#[case("15 3 * * *", "@nightly", &["line 5: spec.schedule: must be one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually (did you mean @monthly?)"])]
#[case("15 3 * * *", "15 24 * * *", &["line 5: spec.schedule: has the hour \"24\", which must be from 0 to 23"])]
#[case("Europe/Berlin", "Europe/Berln", &["line 6: spec.timeZone: must be an IANA time zone, not \"Europe/Berln\" (did you mean Europe/Berlin?)"])]
#[case("films-nightly", "films-every-night-at-a-quarter-past-three", &["line 3: metadata.name: must have at most 31 characters, not 41"])]
#[case("Forbid", "Deny", &["line 7: spec.concurrencyPolicy: must be one of Allow, Forbid, Replace, not \"Deny\""])]
#[case("s3://all/recs", "ftp://all", &["line 22: spec.jobTemplate.spec.scoring.tenants[0].output.uri: must start with file://, s3://, gs://, az://, not ftp://"])]
#[case("labels", "lables", &["line 13: spec.jobTemplate.metadata.lables: is no field of metadata"])]
fn a_bad_schedule_is_refused_with_every_reason(#[case] from: &str, #[case] to: &str, #[case] expected: &[&str]) {
    assert_eq!(violations(SCHEDULE, from, to), expected);
}

#[rstest]
#[case("spec: {serviceAccountName: reader}", "spec: {serviceAccount_name: reader}", &["line 24: spec.data.template.spec.serviceAccount_name: is no field of a pod template"])]
#[case("value: \"Cinema A\"", "value: cinema-b", &["line 81: spec.scoring.tenants[1].value: must not be the same as spec.scoring.tenants[0].value"])]
fn a_bad_full_job_is_refused_with_every_reason(#[case] from: &str, #[case] to: &str, #[case] expected: &[&str]) {
    assert_eq!(violations(FULL, from, to), expected);
}

#[rstest]
#[case("", "holds no object")]
#[case("# nothing\n", "holds no object")]
#[case("just text", "apiVersion: is required: teasel.dev/v1alpha1")]
fn a_text_without_a_job_is_refused(#[case] yaml: &str, #[case] message: &str) {
    let first = validate(yaml).remove(0);
    assert!(first.to_string().ends_with(message), "{first}");
}

#[test]
fn a_text_that_is_no_yaml_is_refused_with_its_line() {
    let violation = validate("a: 1\nb: [1,\n").remove(0);
    assert!(violation.line.is_some_and(|line| line >= 2), "{violation}");
    assert!(violation.message.starts_with("is no valid YAML: "), "{violation}");
}

#[test]
fn a_field_that_comes_twice_is_refused() {
    let violation = validate(&MINIMAL.replace("model: {}", "training: {}")).remove(0);
    assert_eq!(violation.line, Some(12));
    assert!(violation.message.contains("duplicate"), "{violation}");
}

#[test]
fn every_document_of_a_text_is_checked() {
    let text = format!(
        "{}---\n{}",
        MINIMAL.replace("name: films", "name: Films"),
        MINIMAL.replace("s3://all", "s5://all")
    );
    let lines: Vec<_> = validate(&text).iter().map(|violation| violation.line).collect();
    assert_eq!(lines, [Some(4), Some(31)]);
}

#[rstest]
#[case::layer_0("layers: [3, 6]", "layers: [0, 6]", &["spec.model.content.text.layers[0]: must be at least 1, the first block's"])]
#[case::layer_twice("layers: [3, 6]", "layers: [6, 3, 6]", &["spec.model.content.text.layers[2]: names layer 6 again"])]
#[case::no_layer("layers: [3, 6]", "layers: []", &["spec.model.content.text.layers: must have at least 1 element"])]
#[case::pooling("pooling: Mean", "pooling: Max", &["spec.model.content.text.pooling: must be one of Mean, Cls, LastToken, not \"Max\""])]
#[case::integers("tuning: {type: Frozen}", "precision: Int8\n        tuning: {type: Full}", &["spec.model.content.text.precision: Int8 goes with tuning of type Frozen: nothing leads back through integers"])]
#[case::bits("tuning: {type: Frozen}", "precision: Int4", &["spec.model.content.text.precision: must be one of Float32, Int8, not \"Int4\" (did you mean Int8?)"])]
#[case::adapted("type: Frozen", "type: LowRank, adapters: {width: 8}", &["spec.model.content.text.tuning.adapters: goes with type Adapters"])]
#[case::no_rank("type: Frozen", "type: LowRank, lowRank: {rank: 0}", &["spec.model.content.text.tuning.lowRank.rank: must be at least 1 and at most 4294967295, not 0"])]
#[case::twice("type: Frozen", "type: LowRank, lowRank: {targets: [Query, Query]}", &["spec.model.content.text.tuning.lowRank.targets[1]: names Query again"])]
#[case::no_matrix("type: Frozen", "type: LowRank, lowRank: {targets: [Head]}", &["spec.model.content.text.tuning.lowRank.targets[0]: must be one of Query, Key, Value, Output, Up, Gate, Down, not \"Head\"", "spec.model.content.text.tuning.lowRank.targets: must have at least 1 element"])]
#[case::frozen("type: Frozen", "type: Frozen, lowRank: {rank: 4}", &["spec.model.content.text.tuning.lowRank: goes with type LowRank"])]
#[case::hot("temperature: 0.05", "temperature: 0.0001", &["spec.model.content.routing.temperature: must be at least 0.001, not 0.0001"])]
#[case::drift("drift: 0.2", "drift: -1", &["spec.model.content.routing.drift: must be at least 0, not -1"])]
#[case::context("context: 0.25", "context: 1", &["spec.model.content.routing.context: must be at least 0 and below 1, not 1"])]
#[case::bad_items("onBadItems: Skip", "onBadItems: Ignore", &["spec.model.content.onBadItems: must be one of Fail, Skip, not \"Ignore\""])]
fn what_is_wrong_with_content_is_said_by_its_field(
    #[case] from: &str,
    #[case] to: &str,
    #[case] expected: &[&str],
) {
    let found = violations(FULL, from, to);
    let without_line = |text: &String| text.split_once(": ").map(|(_, rest)| rest.to_owned());
    let found: Vec<String> = found.iter().filter_map(without_line).collect();
    assert_eq!(found, expected);
}
