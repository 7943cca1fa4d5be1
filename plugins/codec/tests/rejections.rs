//! What becomes of lines that are no readings: named with their place, counted, kept as they came; and NDJSON however
//! its text is cut into pieces.

mod support;

use cardcage_codec::lines::Window;
use cardcage_codec::rejects::{Place, Rejections, RejectsError};
use cardcage_codec::{Format, ReadSettings, Reader, Reason, Rejected, Round};
use cardcage_plugin_api::Record;
use proptest::prelude::*;
use support::{Event, NOW_NS, Names, Reading, read_in_pieces, sorted};

fn messages(format: Format, text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    let mut room = [Record::default(); 8];
    let round = Round { now_ns: NOW_NS, batch_records: 8 };
    let mut reader = Reader::new(format, &ReadSettings::default());
    let mut note = |rejected: &Rejected<'_>| messages.push(rejected.to_string());
    let taken = reader.read(text.as_bytes(), true, &mut room, round, &Names::default(), &mut note);
    assert_eq!(taken.bytes, text.len());
    messages
}

#[test]
fn a_missing_key_is_named_with_those_that_are_there() {
    assert_eq!(
        messages(Format::Ndjson, "{\"sensor\":\"a\",\"v\\u0061l\":1}\n{\"value\":1}\n{}\n{\"value\":null}"),
        [
            "no value; `value` is missing, found: `sensor`, `val`",
            "no sensor's name; give one in the data or in `defaults.sensor`; `sensor` is missing, found: `value`",
            "no value; `value` is missing, found: no keys",
            "no value: `value` is empty",
        ]
    );
    let many = (0..20).fold(String::new(), |text, n| text + &format!(",\"k{n}\":1"));
    let message = messages(Format::Ndjson, &format!("{{\"sensor\":\"a\"{many}}}")).remove(0);
    assert!(message.ends_with("`k10` and 9 more"), "{message}");
}

#[test]
fn a_byte_order_mark_counts_as_part_of_the_first_line_however_it_comes() {
    for (format, line) in
        [(Format::Ndjson, "{\"sensor\":\"a\",\"value\":1}"), (Format::LineProtocol, "a v=1,w=1,x=2,y=3")]
    {
        for more in 0..6 {
            let settings = ReadSettings { max_line: line.len() + 1 + more, ..ReadSettings::default() };
            let text = format!("\u{feff}{line}\n{line}\n");
            let found = |piece: usize| {
                let (mut reader, names) = (Reader::new(format, &settings), Names::default());
                let events =
                    read_in_pieces(&mut reader, &names, text.as_bytes(), &[piece], settings.max_line, 8);
                let (readings, rejections) = sorted(&events);
                let at = |event: &Event| match event {
                    Event::Rejected(reason, line, at, _) => Some((*reason, *line, *at)),
                    Event::Reading(_) => None,
                };
                (readings.len(), rejections.iter().filter_map(at).collect::<Vec<_>>())
            };
            let whole = found(text.len());
            assert_eq!(whole.1.is_empty(), more >= 3, "{format:?} {more}");
            for piece in 1..text.len() {
                assert_eq!(found(piece), whole, "{format:?} {more} {piece}");
            }
        }
    }
}

#[test]
fn a_byte_order_mark_behind_a_first_line_that_is_too_long_is_part_of_its_line() {
    let settings = ReadSettings { max_line: 40, ..ReadSettings::default() };
    let good = "{\"sensor\":\"a\",\"value\":1}";
    let text = format!("{}\n\u{feff}{good}\n{good}\n", "x".repeat(60));
    for piece in 1..=text.len() {
        let (mut reader, names) = (Reader::new(Format::Ndjson, &settings), Names::default());
        let events = read_in_pieces(&mut reader, &names, text.as_bytes(), &[piece], settings.max_line, 8);
        let (readings, rejections) = sorted(&events);
        let reasons: Vec<Reason> = rejections
            .iter()
            .filter_map(|event| match event {
                Event::Rejected(reason, ..) => Some(*reason),
                Event::Reading(_) => None,
            })
            .collect();
        assert_eq!(
            (readings.len(), reasons.as_slice()),
            (1, &[Reason::TooLong, Reason::BadJson][..]),
            "{piece}"
        );
    }
}

#[test]
fn nothing_in_a_message_steers_a_terminal() {
    let message = messages(Format::Ndjson, "{\"\\u001b[2J\":1}").remove(0);
    assert!(message.contains("`\u{fffd}[2J`"), "{message}");
}

#[test]
fn rejected_lines_are_kept_as_they_came_and_counted_by_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rejects.txt");
    std::fs::write(&path, "from before\n").unwrap();
    let mut rejections = Rejections::new(Some(&path)).unwrap();
    let place = Place { stream: &"here", line: 0, position: 0 };
    let text = "m a=\"x\",b=\"y\",c=1 5\nm\r\nm a=1\n";
    let mut room = [Record::default(); 8];
    let round = Round { now_ns: NOW_NS, batch_records: 8 };
    let mut reader = Reader::new(Format::LineProtocol, &ReadSettings::default());
    let mut note = |rejected: &Rejected<'_>| rejections.add(place, rejected);
    let taken = reader.read(text.as_bytes(), true, &mut room, round, &Names::default(), &mut note);
    assert_eq!(taken.records, 2);
    let mut window = Window::new(64);
    window.append(&[b'x'; 100]);
    rejections.add_skipped(place, &window.skip_long_line().unwrap());
    assert!(rejections.any());
    let counts: Vec<_> = rejections.take_counts().collect();
    assert_eq!(counts, [(Reason::BadLine, 1), (Reason::TextField, 2), (Reason::TooLong, 1)]);
    assert!(!rejections.any());
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(kept, format!("from before\nm a=\"x\",b=\"y\",c=1 5\nm\n{}\n", "x".repeat(100)));
}

#[test]
fn a_place_for_rejected_lines_that_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Rejections::new(Some(folder.path())), Err(RejectsError::NotAFile { .. })));
    let missing = folder.path().join("no/such/folder");
    let error = Rejections::new(Some(&missing)).err().unwrap();
    assert!(error.to_string().contains("no/such/folder"), "{error}");
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0_u32..5, -100_i32..100).prop_map(|(sensor, value)| format!("{{\"sensor\":\"s{sensor}\",\"value\":{value}}}\n")),
        2 => (0_u32..5, -100_i32..100).prop_map(|(sensor, value)| format!("{{\"value\":{value}, \"sensor\":\"s\\u003{sensor}\"}}\r\n")),
        1 => "[ \r]{0,80}\n",
        1 => "[x{}\":,\n]{0,80}",
        1 => Just("{\"sensor\":\"a\",\"value\":1,\"value\":2,\"x\":[{\"value\":3}]}\n".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes_never_panic(text: Vec<u8>) {
        let mut reader = cardcage_codec::ndjson::Reader::new(ReadSettings::default());
        let _ = reader.step(&text, &Names::default(), NOW_NS);
        let _ = reader.line(&text, &Names::default(), NOW_NS);
    }

    #[test]
    fn ndjson_is_the_same_in_any_pieces(
        lines in proptest::collection::vec(line(), 0..12),
        pieces in proptest::collection::vec(1_usize..90, 1..5),
        marked: bool,
    ) {
        let told = ReadSettings { max_line: 64, ..ReadSettings::default() };
        // On a line of its own: what is too long begins with the mark or behind it, as it is met.
        let text = if marked { "\u{feff}\n" } else { "" }.to_owned() + &lines.concat();
        let all = |pieces: &[usize]| {
            let mut reader = Reader::new(Format::Ndjson, &told);
            let names = Names::default();
            let events = read_in_pieces(&mut reader, &names, text.as_bytes(), pieces, told.max_line, 5);
            let (readings, rejections): (Vec<Reading>, Vec<Event>) = sorted(&events);
            let places: Vec<_> = rejections.into_iter().map(|event| match event {
                Event::Rejected(reason, line, at, _) => (reason, line, at),
                Event::Reading(_) => unreachable!(),
            }).collect();
            (readings, places)
        };
        prop_assert_eq!(all(&[text.len().max(1)]), all(&pieces));
    }
}
