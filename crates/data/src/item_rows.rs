//! Item metadata and lists of items, as users bring them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use teasel_api::resolved::{Items, OnBadRows};
use teasel_storage::Store;

use crate::places::{InputFile, files};
use crate::raw::{Kind, RowSink, Value, Wanted};
use crate::vocabulary::Vocabulary;
use crate::{Catalogue, DataError};

/// What item files say.
pub(crate) struct Described {
    /// The vocabulary.
    pub(crate) catalogue: Catalogue,
    /// Items outside of it that have a text or an image, by their ids.
    pub(crate) cold: Catalogue,
    /// How many of the vocabulary have metadata.
    pub(crate) items: u64,
}

impl Described {
    /// What is known without item files.
    pub(crate) fn nothing(vocabulary: &Vocabulary) -> Self {
        Described { catalogue: Catalogue::bare(vocabulary), cold: Catalogue::default(), items: 0 }
    }
}

/// Reads the metadata of the items in `vocabulary` and of those outside, but for `low_rated` ones: these aren't new, and
/// nobody likes them. Blocks.
pub(crate) fn read_metadata(
    inputs: &[InputFile],
    items: &Items,
    (vocabulary, low_rated): (&Vocabulary, &HashSet<Box<str>>),
    policy: (OnBadRows, u64),
    runtime: &tokio::runtime::Handle,
) -> Result<Described, DataError> {
    let mut found = Described::nothing(vocabulary);
    let mut cold = Vec::new();
    let index: HashMap<&str, usize> = vocabulary.ids.iter().enumerate().map(|(index, id)| (&**id, index)).collect();
    let mut first_rows = HashMap::new();
    let mut bad_rows = 0;
    let column = |name: &str, kind| Wanted { name: name.to_owned(), kind, required: true, identifying: false };
    let mut wanted = vec![Wanted { identifying: true, ..column(&items.columns.item, Kind::Text) }];
    wanted.extend(items.columns.text.iter().map(|name| column(name, Kind::List)));
    wanted.extend(items.columns.image.iter().map(|name| column(name, Kind::Text)));
    wanted.extend(items.columns.categories.iter().map(|name| column(name, Kind::List)));
    wanted.extend(items.columns.facet.iter().map(|name| column(name, Kind::Text)));
    for (number, file) in inputs.iter().enumerate() {
        let mut sink = MetadataSink {
            file,
            number,
            inputs,
            items,
            index: &index,
            policy,
            bad_rows: &mut bad_rows,
            first_rows: &mut first_rows,
            found: &mut found,
            low_rated,
            cold: &mut cold,
        };
        crate::raw::read(file, items.format, &wanted, runtime, &mut sink)?;
    }
    // By their ids, so that the files' order doesn't matter.
    cold.sort_unstable_by(|left, right| left.id.cmp(&right.id));
    cold.into_iter().for_each(|row| row.append_to(&mut found.cold));
    Ok(found)
}

struct MetadataSink<'a> {
    file: &'a InputFile,
    number: usize,
    inputs: &'a [InputFile],
    items: &'a Items,
    index: &'a HashMap<&'a str, usize>,
    policy: (OnBadRows, u64),
    bad_rows: &'a mut u64,
    /// File and row that described an item.
    first_rows: &'a mut HashMap<Box<str>, (usize, u64)>,
    found: &'a mut Described,
    low_rated: &'a HashSet<Box<str>>,
    cold: &'a mut Vec<ItemRow>,
}

/// What a row says of its item.
struct ItemRow {
    id: Box<str>,
    text: Option<String>,
    image: Option<String>,
    categories: Vec<String>,
    facet: Option<String>,
}

impl ItemRow {
    fn replace(self, catalogue: &mut Catalogue, item: usize) {
        catalogue.texts[item] = self.text;
        catalogue.images[item] = self.image;
        catalogue.categories[item] = self.categories;
        catalogue.facets[item] = self.facet;
    }

    fn append_to(self, catalogue: &mut Catalogue) {
        catalogue.ids.push(self.id.into());
        catalogue.texts.push(self.text);
        catalogue.images.push(self.image);
        catalogue.categories.push(self.categories);
        catalogue.facets.push(self.facet);
        catalogue.counts.push(0);
    }
}

/// What a cell of a text column says; a list says all that it has.
fn said<'a>(value: &'a Value<'_>) -> Option<Cow<'a, str>> {
    match value {
        Value::List(texts) => (!texts.is_empty()).then(|| texts.join(", ").into()),
        value => value.text(),
    }
}

impl RowSink for MetadataSink<'_> {
    fn row(&mut self, number: u64, values: &[Value<'_>]) -> Result<(), DataError> {
        let mut values = values.iter();
        let Some(id) = values.next().and_then(Value::text) else {
            return self.bad_row(DataError::BadRow {
                file: self.file.uri.clone(),
                row: number,
                column: Some(self.items.columns.item.clone()),
                problem: "empty".into(),
                value: None,
            });
        };
        if let Some((file, row)) = self.first_rows.insert(id.as_ref().into(), (self.number, number)) {
            return Err(DataError::DuplicateItem {
                file: self.file.uri.clone(),
                row: number,
                first_file: self.inputs.get(file).map(|file| file.uri.clone()).unwrap_or_default(),
                first_row: row,
            });
        }
        let columns = &self.items.columns;
        let texts: Vec<_> = values.by_ref().take(columns.text.len()).filter_map(said).collect();
        let mut next = |wanted: bool| if wanted { values.next() } else { None };
        let own = |value: Option<&Value<'_>>| value.and_then(Value::text).map(|text| text.into_owned());
        let row = ItemRow {
            id: id.as_ref().into(),
            text: (!texts.is_empty()).then(|| texts.join("\n")),
            image: own(next(columns.image.is_some())),
            categories: match next(columns.categories.is_some()) {
                Some(Value::List(categories)) => categories.clone(),
                Some(value) => {
                    separated(value.text().as_deref().unwrap_or_default(), &self.items.category_separator)
                }
                None => Vec::new(),
            },
            facet: own(next(columns.facet.is_some())),
        };
        match self.index.get(id.as_ref()) {
            Some(index) => {
                row.replace(&mut self.found.catalogue, *index);
                self.found.items += 1;
            }
            None if self.low_rated.contains(id.as_ref()) => {}
            None if row.text.is_some() || row.image.is_some() => self.cold.push(row),
            None => {}
        }
        Ok(())
    }

    fn bad_row(&mut self, error: DataError) -> Result<(), DataError> {
        let (policy, maximum) = self.policy;
        if policy == OnBadRows::Fail {
            return Err(error);
        }
        *self.bad_rows += 1;
        if *self.bad_rows > maximum {
            return Err(DataError::TooManyBadRows { maximum, last: Box::new(error) });
        }
        Ok(())
    }
}

fn separated(text: &str, separator: &str) -> Vec<String> {
    if separator.is_empty() {
        return Some(text.trim().to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
    }
    text.split(separator).map(str::trim).filter(|category| !category.is_empty()).map(str::to_owned).collect()
}

/// The item ids at `place` (any supported file or prefix): those of its column `item`, else `item_id`, else its first.
///
/// # Errors
/// Those of the place and its files; a row without an id is one.
pub async fn read_item_ids(place: &Store) -> Result<Vec<String>, DataError> {
    let inputs = files(place).await?;
    let runtime = tokio::runtime::Handle::current();
    let reading = tokio::task::spawn_blocking(move || {
        let mut ids = IdSink { file: String::new(), ids: Vec::new() };
        for file in &inputs {
            ids.file.clone_from(&file.uri);
            let column = |name: &str| {
                [Wanted { name: name.to_owned(), kind: Kind::Text, required: true, identifying: true }]
            };
            match crate::raw::read(file, None, &column("item"), &runtime, &mut ids) {
                Err(DataError::MissingColumn { present, .. }) => {
                    let other = present.iter().find(|name| *name == "item_id").or(present.first());
                    let other = other.cloned().unwrap_or_default();
                    crate::raw::read(file, None, &column(&other), &runtime, &mut ids)?;
                }
                read => read?,
            }
        }
        Ok(ids.ids)
    });
    reading.await.map_err(|error| DataError::Engine(error.to_string()))?
}

struct IdSink {
    file: String,
    ids: Vec<String>,
}

impl RowSink for IdSink {
    fn row(&mut self, number: u64, values: &[Value<'_>]) -> Result<(), DataError> {
        match values.first().and_then(Value::text) {
            Some(id) => self.ids.push(id.into_owned()),
            None => {
                return Err(DataError::BadRow {
                    file: self.file.clone(),
                    row: number,
                    column: None,
                    problem: "no item".into(),
                    value: None,
                });
            }
        }
        Ok(())
    }

    fn bad_row(&mut self, error: DataError) -> Result<(), DataError> {
        Err(error)
    }
}
