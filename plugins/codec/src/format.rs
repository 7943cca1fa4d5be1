//! Which format a text is in.

use cardcage_plugin_api::settings;
use std::path::Path;

/// How readings are written.
#[settings]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Rows of columns, by RFC 4180.
    Csv,
    /// InfluxDB line protocol, version 2.
    LineProtocol,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Ndjson, Self::Csv, Self::LineProtocol];

    /// The format that a file's ending stands for; looks through a `.gz` or `.zst` behind it.
    pub fn of_path(path: &Path) -> Option<Self> {
        match ending(path)?.as_str() {
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "csv" | "tsv" => Some(Self::Csv),
            "lp" | "line" | "influx" => Some(Self::LineProtocol),
            _ => None,
        }
    }

    /// Its name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::LineProtocol => "line_protocol",
        }
    }
}

/// The delimiter that a file's ending stands for: a tab for `.tsv`, else a comma.
pub(crate) fn delimiter_of_path(path: &Path) -> u8 {
    if ending(path).as_deref() == Some("tsv") { b'\t' } else { b',' }
}

fn ending(path: &Path) -> Option<String> {
    let ending = |path: &Path| Some(path.extension()?.to_str()?.to_ascii_lowercase());
    match ending(path)?.as_str() {
        "gz" | "zst" => ending(Path::new(path.file_stem()?)),
        other => Some(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_tells_the_format() {
        for (path, format) in [
            ("a/b.NDJSON", Some(Format::Ndjson)),
            ("a.jsonl", Some(Format::Ndjson)),
            ("a.csv", Some(Format::Csv)),
            ("a.tsv.gz", Some(Format::Csv)),
            ("a.lp.zst", Some(Format::LineProtocol)),
            ("a.gz", None),
            ("a.txt", None),
            ("csv", None),
        ] {
            assert_eq!(Format::of_path(Path::new(path)), format, "{path}");
        }
        assert_eq!(delimiter_of_path(Path::new("a.TSV.zst")), b'\t');
    }
}
