//! How it was run.

use maud::{Markup, html};

use crate::number::{bytes, duration};
use crate::portrait::Portrait;

pub(crate) fn section(portrait: &Portrait) -> Markup {
    html! {
        section {
            h2 { "Run" }
            @if !portrait.phases.is_empty() {
                div.wide {
                    table {
                        thead {
                            tr { th { "phase" } th.number { "attempts" } th.number { "time of the last" } th.number { "peak memory of its process" } }
                        }
                        tbody {
                            @for phase in &portrait.phases {
                                tr {
                                    td { (phase.name) }
                                    td.number { (phase.attempts) }
                                    td.number { (phase.seconds.map_or("–".into(), duration)) }
                                    td.number { (phase.peak_memory_bytes.map_or("–".into(), bytes)) }
                                }
                            }
                        }
                    }
                }
            }
            details {
                summary { "The job with every default filled in" }
                pre { (serde_json::to_string_pretty(&portrait.job).unwrap_or_default()) }
            }
        }
    }
}
