//! CSV through the public interface: what the `csv` crate finds in a text, our reader makes readings of; nothing
//! panics; how the text is cut into pieces does not matter; what is written reads back.

mod support;

use cardcage_codec::{
    CsvSettings, Dictionary as _, Format, ReadSettings, Reader, Reason, Rejected, Round, WriteSettings,
    Writer,
};
use cardcage_plugin_api::{Quality, Record, Status};
use proptest::prelude::*;
use support::{Event, NOW_NS, Names, Reading, read_in_pieces, sorted};

fn settings() -> ReadSettings {
    ReadSettings::default()
}

fn read(settings: &ReadSettings, text: &str) -> (Vec<Reading>, Vec<(Reason, u64, u64)>) {
    let mut reader = Reader::new(Format::Csv, settings);
    let events = read_in_pieces(
        &mut reader,
        &Names::default(),
        text.as_bytes(),
        &[text.len()],
        settings.max_line,
        100,
    );
    let (readings, rejections) = sorted(&events);
    let places = rejections.into_iter().map(|event| match event {
        Event::Rejected(reason, line, at, _) => (reason, line, at),
        Event::Reading(_) => panic!("no rejection"),
    });
    (readings, places.collect())
}

fn values(readings: &[Reading]) -> Vec<f64> {
    readings.iter().map(|reading| f64::from_bits(reading.value)).collect()
}

#[test]
fn a_name_that_looks_like_another_ones_name_and_tags_is_a_sensor_of_its_own() {
    // What a name and its tags are kept under begins with the name's length.
    let text = "sensor,tags,value\na,a=b,1\n\u{1}\0\0\0\0\0\0\0aa=b,,2\na,a=b,3\n";
    let (readings, rejected) = read(&settings(), text);
    assert_eq!(rejected, []);
    let sensors: Vec<_> =
        readings.iter().map(|reading| (reading.sensor.as_str(), reading.tags.len())).collect();
    assert_eq!(sensors, [("a", 1), ("\u{1}\0\0\0\0\0\0\0aa=b", 0), ("a", 1)]);
}

#[test]
fn a_number_has_one_sign() {
    let text = "sensor,value\na,+1\na,-1\na,+-1\na,-+1\na,++1\na,--1\na,+ 1\na,+1e+1\n";
    let (readings, rejected) = read(&settings(), text);
    assert_eq!(values(&readings), [1.0, -1.0, 10.0]);
    assert!(rejected.iter().all(|(reason, _, _)| *reason == Reason::BadNumber), "{rejected:?}");
    assert_eq!(rejected.len(), 5);
}

#[test]
fn a_header_names_the_columns_in_any_order() {
    let text = "\u{feff}unit,value,ignored, sensor ,timestamp,tags,quality\r\n\
                Cel,-1.5e1,\"a, \"\"b\"\"\",press,1700000000,site=graz;line=a\\;b,bad|clamped\r\n\
                \"m\"\"\",+.5,\"\n\",\"press\n7\",\"2023-11-14T22:13:20Z\",,\n";
    let (readings, rejected) = read(&settings(), text);
    assert_eq!(rejected, []);
    assert_eq!(values(&readings), [-15.0, 0.5]);
    assert_eq!(readings[0].timestamp_ns, 1_700_000_000_000_000_000);
    assert_eq!(readings[1].timestamp_ns, 1_700_000_000_000_000_000);
    assert_eq!(
        readings[0].tags,
        [("line".to_owned(), "a;b".to_owned()), ("site".to_owned(), "graz".to_owned())]
    );
    assert_eq!(readings[0].quality, Quality::CLAMPED.with_status(Status::Bad));
    assert_eq!((&*readings[0].unit, &*readings[1].unit, &*readings[1].sensor), ("Cel", "m\"", "press\n7"));
}

#[test]
fn each_fault_has_its_reason_and_place() {
    let header = "sensor,value,timestamp,quality,tags\n";
    for (row, reason, offset) in [
        ("a,1,1,good\n", Reason::ColumnCount, 0),
        ("a,1,1,good,,\n", Reason::ColumnCount, 12),
        ("a,\"1\"x,1,good,\n", Reason::BadCsv, 5),
        ("a\"b,1,1,good,\n", Reason::BadCsv, 1),
        (",1,1,good,\n", Reason::NoSensor, 0),
        ("a,,1,good,\n", Reason::MissingValue, 2),
        ("a,one,1,good,\n", Reason::BadNumber, 2),
        ("a,nan,1,good,\n", Reason::BadNumber, 2),
        ("a,1e999,1,good,\n", Reason::BadNumber, 2),
        ("a,1,soon,good,\n", Reason::BadTimestamp, 4),
        ("a,1,99999999999999999999,good,\n", Reason::TimestampRange, 4),
        ("a,1,2016-12-31T23:59:60Z,good,\n", Reason::LeapSecond, 4),
        ("a,1,1,fine,\n", Reason::BadQuality, 6),
        ("a,1,1,good,x\n", Reason::BadTags, 11),
    ] {
        let (readings, rejected) = read(&settings(), &format!("{header}{row}a,2,1,good,\n"));
        assert_eq!(rejected, [(reason, 1, header.len() as u64 + offset)], "{row}");
        assert_eq!(values(&readings), [2.0], "{row}");
    }
}

#[test]
fn a_forgotten_quote_takes_no_more_than_its_line() {
    let small = ReadSettings { max_line: 64, ..settings() };
    let rows = "a,1\n".repeat(40);
    let (readings, rejected) = read(&small, &format!("sensor,value\n\"a,7\n{rows}"));
    assert_eq!((readings.len(), rejected), (40, vec![(Reason::TooLong, 1, 13)]));
    // At the end of a file it is plain that the quote never comes.
    let (readings, rejected) = read(&settings(), "sensor,value\n\"a,7\na,1\na,2");
    assert_eq!((values(&readings), rejected), (vec![1.0, 2.0], vec![(Reason::BadCsv, 1, 13)]));
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    let mut reader = Reader::new(Format::Csv, &settings());
    let mut messages = Vec::new();
    let round = Round { now_ns: NOW_NS, batch_records: 8 };
    let mut room = [Record::default(); 8];
    let text = b"sensor,val\na,1\n";
    reader.read(text, true, &mut room, round, &Names::default(), &mut |rejected: &Rejected<'_>| {
        messages.push(rejected.to_string());
    });
    assert_eq!(messages, ["no value; `value` is missing, found: `sensor`, `val`"]);
}

#[test]
fn columns_comments_and_marks_can_be_told() {
    let csv = CsvSettings {
        columns: Some(vec!["value".to_owned(), "sensor".to_owned()]),
        delimiter: b';',
        quote: b'\'',
        comment: Some(b'#'),
    };
    let told = ReadSettings { csv, ..settings() };
    let (readings, rejected) = read(&told, "#1;a\n1;'a;b'\r\n\r\n\n2;c");
    assert_eq!((values(&readings), rejected), (vec![1.0, 2.0], vec![]));
    assert_eq!(readings[0].sensor, "a;b");
    assert!(readings[0].quality.has(Quality::TIME_SUBSTITUTED));
}

#[test]
fn a_reader_goes_on_in_the_middle_of_a_file() {
    let names = Names::default();
    let text = b"value,sensor\n1,a\n2,b\n";
    let mut first = Reader::new(Format::Csv, &settings());
    assert_eq!(first.header(), None);
    let mut room = [Record::default(); 1];
    let round = Round { now_ns: NOW_NS, batch_records: 1 };
    let taken = first.read(text, true, &mut room, round, &names, &mut |_| ());
    assert_eq!((taken.bytes, taken.lines, taken.records), (17, 2, 1));
    let header = first.header().unwrap().to_vec();
    let mut other = Reader::new(Format::Csv, &settings());
    for reader in [&mut first, &mut other] {
        // Another file in between, whose columns are the other way round.
        reader.begin(None);
        reader.read(b"sensor,value\n", true, &mut room, round, &names, &mut |_| ());
        reader.begin(Some(&header));
        let taken = reader.read(&text[17..], true, &mut room, round, &names, &mut |_| ());
        assert_eq!((taken.records, names.reading(&room[0]).sensor), (1, "b".to_owned()));
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,6})?([eE][-+]?[0-9]{1,2})?",
        2 => any::<f64>().prop_map(|value| value.to_string()),
        1 => "[-+ .0-9e,\"\r\n]{0,6}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z/_0-9 é]{0,12}", 2 => "[ab,;\"\r\n\t ]{0,6}", 1 => any::<String>()]
}

/// A row as an instrument writes it, or not.
fn row() -> impl Strategy<Value = Vec<String>> {
    let timestamp = prop_oneof![
        6 => (1_000_000_000_u64..2_000_000_000).prop_map(|t| t.to_string()),
        1 => Just("2026-01-31T12:00:00.25+01:00".to_owned()),
        1 => Just("1700000000.125".to_owned()),
        1 => Just(String::new()),
        1 => text(),
    ];
    (timestamp, text(), value(), text(), text(), proptest::option::weighted(0.05, text()))
        .prop_map(|(a, b, c, d, e, more)| [a, b, c, d, e].into_iter().chain(more).collect())
}

/// What a row that the `csv` crate found must become.
fn expected(row: &csv::StringRecord) -> Option<(f64, String, String)> {
    let [timestamp, sensor, value, unit, _] = row.iter().collect::<Vec<_>>()[..] else { return None };
    let is_decimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let value = Some(value.trim_ascii()).filter(|text| is_decimal(text))?;
    let value: f64 = value.parse().ok().filter(|value: &f64| value.is_finite())?;
    let time = timestamp.trim_ascii();
    let is_time = time.is_empty() && timestamp.is_empty()
        || time.contains('T') && time.starts_with("2026")
        || serde_json::from_str::<f64>(time).is_ok_and(|number| number.abs() < 9e18) && !time.is_empty();
    (is_time && !sensor.is_empty()).then(|| (value, sensor.to_owned(), unit.to_owned()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_row_is_what_the_csv_crate_finds(
        rows in proptest::collection::vec(row(), 1..12),
        quote_all: bool,
        crlf: bool,
        pieces in proptest::collection::vec(1_usize..60, 1..5),
    ) {
        let mut builder = csv::WriterBuilder::new();
        builder.flexible(true).quote_style(if quote_all { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary });
        builder.terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') });
        let mut writer = builder.from_writer(Vec::new());
        writer.write_record(["timestamp", "sensor", "value", "unit", "note"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let text = writer.into_inner().unwrap();
        let theirs: Vec<csv::StringRecord> =
            csv::ReaderBuilder::new().flexible(true).from_reader(&text[..]).records().map(Result::unwrap).collect();
        prop_assert_eq!(theirs.len(), rows.len());
        let names = Names::default();
        let mut reader = Reader::new(Format::Csv, &settings());
        let events = read_in_pieces(&mut reader, &names, &text, &pieces, 1 << 20, 7);
        let (readings, rejections) = sorted(&events);
        let wanted: Vec<_> = theirs.iter().filter_map(expected).collect();
        let found: Vec<_> = readings.into_iter().map(|r| (f64::from_bits(r.value), r.sensor, r.unit)).collect();
        prop_assert_eq!(&found, &wanted, "{} {:?}", String::from_utf8_lossy(&text), rejections);
        prop_assert_eq!(found.len() + rejections.len(), rows.len());
    }

    #[test]
    fn any_bytes_are_used_up_and_pieces_do_not_matter(
        text in proptest::collection::vec(prop_oneof![
            4 => Just(b','), 4 => Just(b'\n'), 2 => Just(b'"'), 1 => Just(b'\r'), 4 => Just(b'1'), 3 => Just(b'a'),
            1 => Just(b'#'), 1 => any::<u8>(),
        ], 0..300),
        pieces in proptest::collection::vec(1_usize..40, 1..5),
        has_header: bool,
    ) {
        let csv = CsvSettings { comment: Some(b'#'), ..CsvSettings::default() };
        let told = ReadSettings { csv, max_line: 64, ..settings() };
        let text = [if has_header { &b"sensor,value\n"[..] } else { b"" }, &text].concat();
        let all = |pieces: &[usize]| {
            let mut reader = Reader::new(Format::Csv, &told);
            sorted(&read_in_pieces(&mut reader, &Names::default(), &text, pieces, told.max_line, 5))
        };
        // Of a line that is thrown away as it comes, so much is kept as came with its first piece.
        let unkept = |(readings, rejections): (Vec<Reading>, Vec<Event>)| {
            let places: Vec<_> = rejections.into_iter().map(|event| match event {
                Event::Rejected(reason, line, at, _) => (reason, line, at),
                Event::Reading(_) => unreachable!(),
            }).collect();
            (readings, places)
        };
        prop_assert_eq!(unkept(all(&[text.len()])), unkept(all(&pieces)));
    }

    #[test]
    fn what_is_written_reads_back(
        readings in proptest::collection::vec((any::<i64>(), any::<f64>(), 0_usize..4, 0_usize..3, 0_u16..64), 1..20),
        sensors in proptest::collection::vec(("\\PC{1,12}|[,\"\n\r;=]{1,5}", proptest::collection::btree_map("[a-z\"\\\\=;,]{1,4}", any::<String>(), 0..3)), 4),
        reversed: bool,
        delimiter in prop_oneof![Just(b','), Just(b';'), Just(b'\t'), Just(b'|')],
    ) {
        let names = Names::default();
        let units = ["", "Cel", "m\",\t;\n"].map(|code| names.unit_id(code).unwrap());
        let mut records = Vec::new();
        for (timestamp_ns, value, sensor, unit, flags) in readings {
            let (name, tags) = &sensors[sensor];
            let tags: Vec<(&str, &str)> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let value = if value.is_finite() { value } else { 0.5 };
            let sensor = names.sensor_id(name, &tags).unwrap();
            let quality = Quality(flags << 2).with_status(Status::Uncertain);
            records.push(Record { timestamp_ns, value, sensor, unit: units[unit], quality });
            records.push(Record { quality: Quality::GOOD, ..*records.last().unwrap() });
        }
        let mut columns = ["timestamp", "sensor", "value", "unit", "quality", "tags"].map(str::to_owned).to_vec();
        if reversed {
            columns.reverse();
        }
        let write = WriteSettings { columns: Some(columns), delimiter, ..WriteSettings::default() };
        let mut writer = Writer::new(Format::Csv, &write);
        let mut text = writer.header().unwrap().to_vec();
        prop_assert_eq!(writer.lines(&records, &names, &mut text), 0);
        let read = ReadSettings {
            timestamp: cardcage_codec::TimestampForm::Nanoseconds,
            csv: CsvSettings { delimiter, ..CsvSettings::default() },
            ..settings()
        };
        let mut reader = Reader::new(Format::Csv, &read);
        let (back, rejected) = sorted(&read_in_pieces(&mut reader, &names, &text, &[17, 100], 1 << 20, 6));
        prop_assert_eq!(rejected, vec![], "{}", String::from_utf8_lossy(&text));
        let wanted: Vec<Reading> = records.iter().map(|record| names.reading(record)).collect();
        prop_assert_eq!(back, wanted, "{}", String::from_utf8_lossy(&text));
    }
}
