//! What a file is, by its name.

use teasel_api::resolved::Format;

use crate::DataError;

/// How a file's bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// The format (unless it is given) and compression of the file at `uri`.
///
/// # Errors
/// [`DataError::Configuration`] where the name tells no format.
pub(crate) fn of_file(uri: &str, given: Option<Format>) -> Result<(Format, Compression), DataError> {
    let lower = uri.to_ascii_lowercase();
    let (name, compression) = [
        (".gz", Compression::Gzip),
        (".zst", Compression::Zstd),
        (".zstd", Compression::Zstd),
        (".bz2", Compression::Bzip2),
        (".xz", Compression::Xz),
    ]
    .into_iter()
    .find_map(|(ending, compression)| Some((lower.strip_suffix(ending)?, compression)))
    .unwrap_or((&lower, Compression::None));
    let format = given.or_else(|| match name.rsplit('/').next()?.rsplit_once('.')?.1 {
        "parquet" | "pq" => Some(Format::Parquet),
        "csv" => Some(Format::Csv),
        "tsv" | "tab" => Some(Format::Tsv),
        "jsonl" | "ndjson" | "json" => Some(Format::JsonLines),
        "inter" | "item" | "user" => Some(Format::RecBole),
        _ => None,
    });
    match format {
        Some(format) => Ok((format, compression)),
        None => Err(DataError::Configuration(format!(
            "{uri}: the name tells no format: set `format` to Parquet, Csv, Tsv, JsonLines or RecBole"
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("file:///a/x.parquet", None, Some((Format::Parquet, Compression::None)))]
    #[case("s3://b/x.CSV.GZ", None, Some((Format::Csv, Compression::Gzip)))]
    #[case("s3://b/x.inter.zst", None, Some((Format::RecBole, Compression::Zstd)))]
    #[case("s3://b/x.jsonl.xz", None, Some((Format::JsonLines, Compression::Xz)))]
    #[case("s3://b/x.tsv.bz2", None, Some((Format::Tsv, Compression::Bzip2)))]
    #[case("s3://b.csv/part-0", None, None)]
    #[case("s3://b/part-0.gz", Some(Format::Csv), Some((Format::Csv, Compression::Gzip)))]
    fn a_name_tells_format_and_compression(
        #[case] uri: &str,
        #[case] given: Option<Format>,
        #[case] expected: Option<(Format, Compression)>,
    ) {
        assert_eq!(of_file(uri, given).ok(), expected);
    }
}
