//! Paths with parts that come from readings: `archive/{date}/{sensor}.ndjson`.
//!
//! A name from the data never leaves the place that the template gives it: [`push_escaped`] says how.

use crate::finished::looks_finished;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The most bytes of a file's name, on every file system in use.
const NAME_MAX_BYTES: usize = 255;
/// Room for what a rotated file's name has more than the file's own: `-20261122T214944Z-000`, and [`SET_APART`].
const ROTATED_BYTES: usize = 21 + 2;
/// What becomes of the `-` where a path would else be that of a finished file. Nothing else is written so.
const SET_APART: &str = "%2D";
/// What a part needs at least to be told from others: a few letters and a long name's hash.
const PART_MIN_BYTES: usize = 32;
/// What stands for an empty part.
const EMPTY: &str = "_";

/// Why a path is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum TemplateError {
    #[error(
        "`{{{0}}}` is no part of a reading; known are {{sensor}}, {{unit}}, {{tag.NAME}}, {{date}} and {{hour}}"
    )]
    Unknown(String),
    #[error("`{{` without its `}}`; a brace in a name is written twice: `{{{{`")]
    Unclosed,
    #[error("`}}` without its `{{`; a brace in a name is written twice: `}}}}`")]
    Unopened,
    #[error("the path is not UTF-8, which parts in braces need")]
    NotUtf8,
    #[error(
        "`{0}` leaves too few bytes of a file name (255) for its parts; shorten it or make it two folders"
    )]
    TooLong(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Sensor,
    Unit,
    Tag(String),
    Date,
    Hour,
}

/// What a path takes from a reading.
pub(crate) struct Parts<'a> {
    pub(crate) sensor: &'a str,
    /// Sorted or not; the first of a name counts.
    pub(crate) tags: &'a [(&'a str, &'a str)],
    pub(crate) unit: &'a str,
    /// `2026-11-22` and `21`.
    pub(crate) date: &'a str,
    pub(crate) hour: &'a str,
}

/// A path whose parts in braces are filled in.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    plain: PathBuf,
    /// Empty for a path without parts. Each with the most bytes that it may take.
    pieces: Vec<(Piece, usize)>,
}

impl Template {
    /// Reads a path as a template.
    pub(crate) fn parse(path: &Path) -> Result<Self, TemplateError> {
        let braces = path.as_os_str().as_encoded_bytes().iter().any(|byte| matches!(byte, b'{' | b'}'));
        if !braces {
            return Ok(Self { plain: path.to_owned(), pieces: Vec::new() });
        }
        let pieces = pieces(path.to_str().ok_or(TemplateError::NotUtf8)?)?;
        let literal = |piece: &Piece| matches!(piece, Piece::Literal(_));
        if pieces.iter().all(literal) {
            let plain = pieces.iter().map(|piece| if let Piece::Literal(text) = piece { text } else { "" });
            return Ok(Self { plain: plain.collect::<String>().into(), pieces: Vec::new() });
        }
        Ok(Self { plain: PathBuf::new(), pieces: with_room(pieces)? })
    }

    /// The path, if it takes nothing from readings.
    pub(crate) fn plain(&self) -> Option<&Path> {
        self.pieces.is_empty().then_some(&*self.plain)
    }

    /// Whether the unit is part of the path.
    pub(crate) fn has_unit(&self) -> bool {
        self.pieces.iter().any(|(piece, _)| *piece == Piece::Unit)
    }

    /// Whether the time is part of the path.
    pub(crate) fn has_time(&self) -> bool {
        self.pieces.iter().any(|(piece, _)| matches!(piece, Piece::Date | Piece::Hour))
    }

    /// Puts the path of a reading into `path`, which is cleared first.
    pub(crate) fn render(&self, parts: &Parts<'_>, path: &mut String) {
        path.clear();
        for (piece, most) in &self.pieces {
            match piece {
                Piece::Literal(text) => path.push_str(text),
                Piece::Sensor => push_escaped(parts.sensor, *most, path),
                Piece::Unit => push_escaped(parts.unit, *most, path),
                Piece::Tag(name) => {
                    let value =
                        parts.tags.iter().find(|(key, _)| key == name).map_or("", |(_, value)| *value);
                    push_escaped(value, *most, path);
                }
                Piece::Date => path.push_str(parts.date),
                Piece::Hour => path.push_str(parts.hour),
            }
        }
        // Readings must not name a file that rotation takes for a finished one of another sensor, and removes.
        if let Some(at) = looks_finished(path) {
            path.replace_range(at..=at, SET_APART);
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix(brace) {
            literal.push_str(brace);
            rest = behind;
            continue;
        }
        if brace == "}" {
            return Err(TemplateError::Unopened);
        }
        let (name, behind) = rest.split_once('}').ok_or(TemplateError::Unclosed)?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(part(name)?);
        rest = behind;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn part(name: &str) -> Result<Piece, TemplateError> {
    Ok(match name {
        "sensor" => Piece::Sensor,
        "unit" => Piece::Unit,
        "date" => Piece::Date,
        "hour" => Piece::Hour,
        _ => match name.strip_prefix("tag.") {
            Some(tag) if !tag.is_empty() => Piece::Tag(tag.to_owned()),
            _ => return Err(TemplateError::Unknown(name.to_owned())),
        },
    })
}

/// Shares the bytes of each name in the path among the parts in it, so that no reading makes a name too long.
fn with_room(pieces: Vec<Piece>) -> Result<Vec<(Piece, usize)>, TemplateError> {
    let mut sized: Vec<(Piece, usize)> = Vec::new();
    for piece in pieces {
        let Piece::Literal(text) = piece else {
            sized.push((piece, 0));
            continue;
        };
        for (index, name) in text.split('/').enumerate() {
            if index > 0 {
                sized.push((Piece::Literal("/".to_owned()), 0));
            }
            if !name.is_empty() {
                sized.push((Piece::Literal(name.to_owned()), 0));
            }
        }
    }
    for name in sized.split_mut(|(piece, _)| *piece == Piece::Literal("/".to_owned())) {
        let fixed: usize = name.iter().map(|(piece, _)| piece.fixed_bytes()).sum();
        let named = name.iter().filter(|(piece, _)| piece.is_name()).count();
        let room = (NAME_MAX_BYTES - ROTATED_BYTES).saturating_sub(fixed);
        match room.checked_div(named) {
            Some(most) if most < PART_MIN_BYTES => return Err(TemplateError::TooLong(show(name))),
            Some(most) => name.iter_mut().for_each(|(_, bytes)| *bytes = most),
            None => {}
        }
    }
    Ok(sized)
}

impl Piece {
    /// Whether it takes a name from the data, of whatever length.
    fn is_name(&self) -> bool {
        matches!(self, Self::Sensor | Self::Unit | Self::Tag(_))
    }

    /// The bytes of a piece that takes none.
    fn fixed_bytes(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Date => "2026-11-22".len(),
            Self::Hour => "21".len(),
            Self::Sensor | Self::Unit | Self::Tag(_) => 0,
        }
    }
}

fn show(pieces: &[(Piece, usize)]) -> String {
    let mut text = String::new();
    for (piece, _) in pieces {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Sensor => text.push_str("{sensor}"),
            Piece::Unit => text.push_str("{unit}"),
            Piece::Tag(name) => text.extend(["{tag.", name, "}"]),
            Piece::Date => text.push_str("{date}"),
            Piece::Hour => text.push_str("{hour}"),
        }
    }
    text
}

/// Appends a name from the data as part of a file's name, in at most `most` bytes.
///
/// Letters and digits of every script, `-`, `_` and `.` stay, but for a `.` at the start; every other character becomes
/// `%` and two hexadecimal digits for each of its bytes, as in addresses of the web. An empty name is `_`, and one that
/// is `_` itself `%5F`. What is too long is cut, with `~` and a hash of the whole behind. So no name holds a `/` or is
/// `..`, and different names make different files.
fn push_escaped(name: &str, most: usize, into: &mut String) {
    const HASH_BYTES: usize = 17;
    if name.is_empty() {
        into.push_str(EMPTY);
        return;
    }
    let start = into.len();
    let mut cut = start;
    for (index, c) in name.char_indices() {
        let stays = c.is_alphanumeric() || c == '-' || (c == '_' && name != EMPTY) || (c == '.' && index > 0);
        if stays {
            into.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let digit = |four: u8| char::from(b"0123456789ABCDEF"[usize::from(four)]);
                into.extend(['%', digit(byte >> 4), digit(byte & 0xF)]);
            }
        }
        let len = into.len() - start;
        if len + HASH_BYTES <= most {
            cut = into.len();
        }
        if len > most {
            into.truncate(cut);
            into.push('~');
            // Writing to a String cannot fail.
            let _ = write!(into, "{:016x}", hash(name));
            return;
        }
    }
}

/// FNV-1a: the same in every version of this sink, as the names of files must be.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Component;

    fn parts<'a>(sensor: &'a str, tags: &'a [(&'a str, &'a str)]) -> Parts<'a> {
        Parts { sensor, tags, unit: "Cel", date: "2026-11-22", hour: "21" }
    }

    fn rendered(template: &str, parts: &Parts<'_>) -> String {
        let mut path = String::new();
        Template::parse(Path::new(template)).unwrap().render(parts, &mut path);
        path
    }

    #[test]
    fn parts_are_filled_in_and_empty_ones_are_a_line() {
        let tags = [("line", "7"), ("site", "")];
        let text = rendered(
            "a/{date}/{hour}/{sensor}-{unit}-{tag.line}{tag.site}{tag.none}.csv",
            &parts("s1", &tags),
        );
        assert_eq!(text, "a/2026-11-22/21/s1-Cel-7__.csv");
    }

    #[test]
    fn braces_are_written_twice() {
        let template = Template::parse(Path::new("a{{b}}.csv")).unwrap();
        assert_eq!(template.plain(), Some(Path::new("a{b}.csv")));
        assert_eq!(rendered("{{{sensor}}}", &parts("x", &[])), "{x}");
    }

    #[test]
    fn what_is_no_template_says_why() {
        let error = |text: &str| Template::parse(Path::new(text)).unwrap_err().to_string();
        assert!(error("{sensr}").contains("`{sensr}` is no part of a reading; known are {sensor}"));
        assert!(error("{tag.}").contains("is no part"));
        assert_eq!(error("a{sensor"), "`{` without its `}`; a brace in a name is written twice: `{{`");
        assert_eq!(error("a}b"), "`}` without its `{`; a brace in a name is written twice: `}}`");
        let long = format!("{}{{sensor}}", "x".repeat(220));
        assert!(error(&long).contains("too few bytes"), "{}", error(&long));
        assert!(Template::parse(Path::new(&format!("{}/{{sensor}}", "x".repeat(220)))).is_ok());
    }

    #[test]
    fn a_name_cannot_leave_its_folder() {
        for (name, file) in [
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("..", "%2E."),
            (".", "%2E"),
            ("_", "%5F"),
            ("_a", "_a"),
            ("a b%\n\0", "a%20b%25%0A%00"),
            ("Büro-7.温", "Büro-7.温"),
        ] {
            assert_eq!(rendered("{sensor}", &parts(name, &[])), file);
        }
    }

    #[test]
    fn no_reading_names_a_file_as_a_finished_one_is_named() {
        let serial = "20260101T000000Z-000";
        for (template, sensor, tag, path) in [
            ("out/{sensor}.csv", format!("a-{serial}"), "", format!("out/a%2D{serial}.csv")),
            ("{sensor}{tag.t}", format!("a-{}", &serial[..18]), "00", format!("a%2D{serial}")),
            ("{sensor}-{tag.t}.csv", "a".to_owned(), serial, format!("a%2D{serial}.csv")),
            ("{sensor}/a.csv", format!("a-{serial}"), "", format!("a-{serial}/a.csv")),
            ("{sensor}.csv", format!("a%2D{serial}"), "", format!("a%252D{serial}.csv")),
        ] {
            assert_eq!(rendered(template, &parts(&sensor, &[("t", tag)])), path);
        }
    }

    proptest! {
        #[test]
        fn every_name_makes_one_file_in_its_folder(name in prop_oneof![".*", "[./_%~\\\\]{0,6}", "x{200,400}", "/{60,120}"]) {
            let path = rendered("root/{sensor}", &parts(&name, &[]));
            let components: Vec<Component<'_>> = Path::new(&path).components().collect();
            prop_assert_eq!(components.len(), 2, "{}", path);
            let is_name = matches!(components[1], Component::Normal(name) if name.len() <= NAME_MAX_BYTES - ROTATED_BYTES);
            prop_assert!(is_name, "{}", path);
        }

        #[test]
        fn different_names_make_different_files(one in "[a./_%~]{0,5}|x{215,240}.", other in "[a./_%~]{0,5}|x{215,240}.") {
            prop_assume!(one != other);
            prop_assert_ne!(rendered("{sensor}", &parts(&one, &[])), rendered("{sensor}", &parts(&other, &[])));
        }
    }
}
