//! Which line each field stands on.

use std::collections::BTreeMap;

use super::tree::{Node, NodeValue};
use crate::resolve::resolve;
use crate::resolved;
use crate::spec::RecommenderJob;
use crate::violation::{Path, Violation};

/// A job and the lines that its fields stand on.
#[derive(Clone, Debug)]
pub struct Located {
    /// The job.
    pub job: RecommenderJob,
    pub(super) lines: Lines,
}

impl Located {
    /// As [`resolve`], with the lines of what is wrong.
    ///
    /// # Errors
    /// As [`resolve`].
    pub fn resolve(&self) -> Result<resolved::Job, Vec<Violation>> {
        resolve(&self.job).map_err(|violations| self.lines.annotate(violations))
    }
}

/// Lines of a document, by field path.
#[derive(Clone, Debug)]
pub(super) struct Lines(BTreeMap<String, u32>);

impl Lines {
    /// All lines of a document.
    pub(super) fn of(node: &Node) -> Lines {
        let mut lines = BTreeMap::from([(String::new(), node.line)]);
        collect(node, &Path::root(), &mut lines);
        Lines(lines)
    }

    /// Fills in each violation's line, and sorts by line. A field that isn't there gets the line of what it is
    /// missing from.
    pub(super) fn annotate(&self, mut violations: Vec<Violation>) -> Vec<Violation> {
        for violation in &mut violations {
            let mut path = violation.path.as_str();
            violation.line = loop {
                if let Some(line) = self.0.get(path) {
                    break Some(*line);
                }
                match path.rfind(['.', '[']) {
                    Some(end) => path = &path[..end],
                    None if path.is_empty() => break None,
                    None => path = "",
                }
            };
        }
        violations.sort_by_key(|violation| violation.line);
        violations
    }
}

fn collect(node: &Node, path: &Path, lines: &mut BTreeMap<String, u32>) {
    match &node.value {
        NodeValue::Map(entries) => {
            for entry in entries {
                let inner = path.field(&entry.name);
                lines.insert(inner.to_string(), entry.line);
                collect(&entry.node, &inner, lines);
            }
        }
        NodeValue::List(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let inner = path.index(index);
                lines.insert(inner.to_string(), element.line);
                collect(element, &inner, lines);
            }
        }
        _ => {}
    }
}
