//! YAML as a tree that knows its lines.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::Spanned;

/// A value and the line that it starts on; line 0 where it comes from no text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Line, from 1.
    pub(crate) line: u32,
    /// The value.
    pub(crate) value: NodeValue,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeValue {
    /// Nothing.
    Null,
    /// Yes or no.
    Boolean(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// Values in order.
    List(Vec<Node>),
    /// Values by name.
    Map(Vec<Entry>),
}

/// A named value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The name.
    pub(crate) name: String,
    /// Line of the name.
    pub(crate) line: u32,
    /// The value.
    pub(crate) node: Node,
}

/// Parses every document of a text.
///
/// Only `true` and `false` are booleans: YAML 1.1's `y`, `no` and the like are text, as in a column's name.
pub(crate) fn parse(yaml: &str) -> Result<Vec<Node>, serde_saphyr::Error> {
    serde_saphyr::from_multiple_with_options(yaml, serde_saphyr::options! { strict_booleans: true })
}

impl NodeValue {
    /// What kind of value this is, for messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            NodeValue::Null => "nothing".into(),
            NodeValue::Boolean(value) => value.to_string(),
            NodeValue::Number(value) => value.to_string(),
            NodeValue::Text(text) => format!("the text {text:?}"),
            NodeValue::List(_) => "a list".into(),
            NodeValue::Map(_) => "an object".into(),
        }
    }
}

impl From<&serde_json::Value> for Node {
    fn from(json: &serde_json::Value) -> Node {
        let value = match json {
            serde_json::Value::Null => NodeValue::Null,
            serde_json::Value::Bool(value) => NodeValue::Boolean(*value),
            serde_json::Value::Number(value) => NodeValue::Number(value.clone()),
            serde_json::Value::String(text) => NodeValue::Text(text.clone()),
            serde_json::Value::Array(elements) => NodeValue::List(elements.iter().map(Node::from).collect()),
            serde_json::Value::Object(fields) => NodeValue::Map(
                fields
                    .iter()
                    .map(|(name, value)| Entry { name: name.clone(), line: 0, node: value.into() })
                    .collect(),
            ),
        };
        Node { line: 0, value }
    }
}

impl From<&Node> for serde_json::Value {
    fn from(node: &Node) -> serde_json::Value {
        match &node.value {
            NodeValue::Null => serde_json::Value::Null,
            NodeValue::Boolean(value) => (*value).into(),
            NodeValue::Number(value) => value.clone().into(),
            NodeValue::Text(text) => text.clone().into(),
            NodeValue::List(elements) => elements.iter().map(serde_json::Value::from).collect(),
            NodeValue::Map(entries) => serde_json::Value::Object(
                entries.iter().map(|entry| (entry.name.clone(), (&entry.node).into())).collect(),
            ),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<NodeValue>::deserialize(deserializer)?;
        Ok(Node { line: line_of(referenced), value })
    }
}

impl<'de> Deserialize<'de> for NodeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NodeValue, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

fn line_of(location: serde_saphyr::Location) -> u32 {
    u32::try_from(location.line()).unwrap_or(u32::MAX)
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = NodeValue;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Null)
    }

    fn visit_none<E: Error>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<NodeValue, D::Error> {
        NodeValue::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<NodeValue, E> {
        Ok(NodeValue::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<NodeValue, E> {
        Ok(NodeValue::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<NodeValue, E> {
        Ok(NodeValue::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<NodeValue, E> {
        Number::from_f64(value).map(NodeValue::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<NodeValue, E> {
        Ok(NodeValue::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<NodeValue, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(NodeValue::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NodeValue, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, node)) = map.next_entry::<Spanned<String>, Node>()? {
            entries.push(Entry { line: line_of(name.referenced), name: name.value, node });
        }
        Ok(NodeValue::Map(entries))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_value_knows_its_line() {
        let yaml = "a:\n  b: 1\n  c: [x,\n    y]\nd: {e: 0.5}\n";
        let node = parse(yaml).unwrap().remove(0);
        let NodeValue::Map(entries) = &node.value else { panic!("{node:?}") };
        assert_eq!((entries[0].line, entries[1].line), (1, 5));
        let NodeValue::Map(inner) = &entries[0].node.value else { panic!("{node:?}") };
        assert_eq!(inner.iter().map(|entry| entry.line).collect::<Vec<_>>(), [2, 3]);
        let NodeValue::List(list) = &inner[1].node.value else { panic!("{node:?}") };
        assert_eq!(list.iter().map(|element| element.line).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(
            serde_json::Value::from(&node),
            serde_json::json!({"a": {"b": 1, "c": ["x", "y"]}, "d": {"e": 0.5}})
        );
    }

    #[test]
    fn what_is_quoted_is_text_and_what_is_plain_has_its_type() {
        let node = parse("['1', 1, -1, true, 'true', ~, null, 1.5, word, no]").unwrap().remove(0);
        assert_eq!(
            serde_json::Value::from(&node),
            serde_json::json!(["1", 1, -1, true, "true", null, null, 1.5, "word", "no"])
        );
    }
}
