//! Line protocol through the public interface: lines made from known readings give those readings, on the general way
//! and on the fast one; nothing panics; how the text is cut into pieces does not matter; what is written reads back.

mod support;

use cardcage_codec::{
    Dictionary as _, Format, ReadSettings, Reader, Reason, TimestampForm, WriteSettings, Writer,
};
use cardcage_plugin_api::{Quality, Record, SensorId, Status};
use proptest::prelude::*;
use support::{Event, NOW_NS, Names, Reading, read_in_pieces, sorted};

fn settings() -> ReadSettings {
    ReadSettings { timestamp: TimestampForm::Nanoseconds, ..ReadSettings::default() }
}

/// Reads a text twice with one reader, so that the second time everything is known; both must give the same.
fn read(text: &str) -> (Vec<Reading>, Vec<(Reason, u64, u64)>) {
    let names = Names::default();
    let mut reader = Reader::new(Format::LineProtocol, &settings());
    let mut once = || {
        reader.begin(None);
        sorted(&read_in_pieces(&mut reader, &names, text.as_bytes(), &[text.len()], 1 << 20, 100))
    };
    let (readings, rejections) = once();
    assert_eq!((readings.clone(), rejections.clone()), once(), "{text}");
    let places = rejections.into_iter().map(|event| match event {
        Event::Rejected(reason, line, at, _) => (reason, line, at),
        Event::Reading(_) => panic!("no rejection"),
    });
    (readings, places.collect())
}

fn values(readings: &[Reading]) -> Vec<(&str, f64)> {
    readings.iter().map(|reading| (&*reading.sensor, f64::from_bits(reading.value))).collect()
}

#[test]
fn every_number_and_boolean_is_a_reading_of_its_own() {
    let text = "# a comment, with=things 1\n\n \
                weather,site=graz,unit=Cel a=1,b=-2.5e1,c=3i,d=4u,e=t,f=FALSE,g=True,h=-7i 1700000000000000001\r\n";
    let (readings, rejected) = read(text);
    assert_eq!(rejected, []);
    assert_eq!(
        values(&readings),
        [
            ("weather.a", 1.0),
            ("weather.b", -25.0),
            ("weather.c", 3.0),
            ("weather.d", 4.0),
            ("weather.e", 1.0),
            ("weather.f", 0.0),
            ("weather.g", 1.0),
            ("weather.h", -7.0),
        ]
    );
    for reading in &readings {
        assert_eq!(reading.timestamp_ns, 1_700_000_000_000_000_001);
        assert_eq!((&*reading.unit, &reading.tags), ("Cel", &vec![("site".to_owned(), "graz".to_owned())]));
    }
}

#[test]
fn escapes_mean_what_the_format_says() {
    let text = r"my\ we\,at\her\\ x,ta\ g\==a\,b\ c\=d\e fi\ eld\,\=x=1 5";
    let text = text.replace(r"\\ x", r"\x");
    let (readings, rejected) = read(&format!("{text}\n"));
    assert_eq!(rejected, []);
    assert_eq!(readings[0].sensor, r"my we,at\her\x.fi eld,=x");
    assert_eq!(readings[0].tags, [("ta g=".to_owned(), r"a,b c=d\e".to_owned())]);
}

#[test]
fn a_text_is_rejected_on_its_own_and_may_hold_anything() {
    let text = "m a=\"x, y=1 \\\" \\\\\n# z\",b=2 5\nm b=3 6\n";
    let (readings, rejected) = read(text);
    assert_eq!(values(&readings), [("m.b", 2.0), ("m.b", 3.0)]);
    assert_eq!(rejected, [(Reason::TextField, 0, 4)]);
    // The line behind it is the third: there was a line end in the text.
    let (_, rejected) = read(&text.replace("b=3", "b=x"));
    assert_eq!(rejected, [(Reason::TextField, 0, 4), (Reason::BadLine, 2, 33)]);
}

#[test]
fn a_quality_holds_for_the_whole_line() {
    let (readings, rejected) = read("m a=1,quality=\"bad|clamped\",b=2 5\n");
    assert_eq!(rejected, []);
    assert!(readings.iter().all(|reading| reading.quality == Quality::CLAMPED.with_status(Status::Bad)));
    assert_eq!(readings.len(), 2);
    assert_eq!(read("m a=1,quality=\"fine\" 5\n").1, [(Reason::BadQuality, 0, 14)]);
}

#[test]
fn each_fault_has_its_reason_and_place() {
    for (line, reason, at) in [
        ("m", Reason::BadLine, 1),
        ("m ", Reason::BadLine, 2),
        ("m a", Reason::BadLine, 3),
        ("m a=", Reason::BadLine, 4),
        ("m =1", Reason::BadLine, 2),
        ("m a=1,", Reason::BadLine, 6),
        ("m a=1x 5", Reason::BadLine, 4),
        ("m a=1 5 6", Reason::BadLine, 8),
        ("m a=1 5.5", Reason::BadLine, 7),
        ("m a=1 -", Reason::BadTimestamp, 6),
        ("m,t a=1 5", Reason::BadLine, 0),
        ("m,t= a=1 5", Reason::BadLine, 0),
        (",t=1 a=1 5", Reason::BadLine, 0),
        ("m,t=1=2 a=1 5", Reason::BadLine, 0),
        ("m a=1e999 5", Reason::BadNumber, 4),
        ("m a=9223372036854775808i 5", Reason::BadNumber, 4),
        ("m a=18446744073709551616u 5", Reason::BadNumber, 4),
        ("m a=-1u 5", Reason::BadLine, 4),
        ("m a=nan 5", Reason::BadLine, 4),
        ("m a=1 92233720368547758070", Reason::TimestampRange, 6),
    ] {
        let (readings, rejected) = read(&format!("{line}\nm b=1 5\n"));
        assert_eq!(rejected, [(reason, 0, at)], "{line}");
        assert_eq!(readings.len(), 1, "{line}");
    }
}

#[test]
fn integers_up_to_the_largest_are_the_nearest_value() {
    let (readings, _) = read("m a=18446744073709551615u,b=-9223372036854775808i,c=9007199254740993i 5\n");
    let found: Vec<f64> = values(&readings).iter().map(|(_, value)| *value).collect();
    assert_eq!(found, [18_446_744_073_709_551_616.0, -9_223_372_036_854_775_808.0, 9_007_199_254_740_992.0]);
}

#[test]
fn a_line_that_is_too_long_is_the_same_in_any_pieces() {
    // The text in quotes goes over a line end, and what is no value behind it over `max_line`.
    let text = format!("m a=\"{}\n{}\",q={} 1\nm a=1\n", "x".repeat(40), "y".repeat(4), "z".repeat(30));
    let told = ReadSettings { max_line: 64, ..settings() };
    let all = |pieces: &[usize]| {
        let mut reader = Reader::new(Format::LineProtocol, &told);
        sorted(&read_in_pieces(&mut reader, &Names::default(), text.as_bytes(), pieces, told.max_line, 5))
    };
    let (readings, rejections) = all(&[text.len()]);
    assert_eq!(readings.len(), 1, "{rejections:?}");
    assert!(matches!(rejections[0], Event::Rejected(Reason::TooLong, 0, 0, _)), "{rejections:?}");
    for piece in 1..text.len() {
        let (again, reasons) = all(&[piece]);
        assert_eq!(again, readings, "in pieces of {piece}");
        let places = |found: &[Event]| -> Vec<_> {
            found
                .iter()
                .map(|event| match event {
                    Event::Rejected(reason, line, at, _) => (*reason, *line, *at),
                    Event::Reading(_) => unreachable!(),
                })
                .collect()
        };
        assert_eq!(places(&reasons), places(&rejections), "in pieces of {piece}");
    }
}

#[test]
fn a_line_is_never_cut_by_the_end_of_a_batch() {
    let names = Names::default();
    let text = b"m a=1,b=2,c=3 1\nm a=1,b=2,c=3 2\nm a=1,b=2,c=3,d=4,e=5 3\nm a=1 4\n";
    for batch in [3, 4] {
        let mut reader = Reader::new(Format::LineProtocol, &settings());
        let events = read_in_pieces(&mut reader, &names, text, &[text.len()], 1 << 20, batch);
        let (readings, rejected) = sorted(&events);
        let times: Vec<i64> = readings.iter().map(|reading| reading.timestamp_ns).collect();
        assert_eq!(times, [1, 1, 1, 2, 2, 2, 4]);
        assert!(matches!(rejected[..], [Event::Rejected(Reason::TooManyFields, 2, ..)]), "{rejected:?}");
    }
}

#[test]
fn a_reading_without_a_time_gets_one_and_says_so() {
    let (readings, _) = read("m a=1\nm a=1 \n");
    for reading in readings {
        assert_eq!(reading.timestamp_ns, NOW_NS);
        assert!(reading.quality.has(Quality::TIME_SUBSTITUTED));
    }
}

#[test]
fn what_line_protocol_cannot_say_is_left_out_and_counted() {
    let names = Names::default();
    let mut writer = Writer::new(Format::LineProtocol, &WriteSettings::default());
    let mut text = Vec::new();
    let tagged = |name: &str, value, tags: &[(&str, &str)]| Record {
        value,
        sensor: names.sensor_id(name, tags).unwrap(),
        ..Record::default()
    };
    let record = |name: &str, value| tagged(name, value, &[]);
    let records = [
        record("a", f64::NAN),
        record("b\\", 1.0),
        record("c\nd", 1.0),
        record("#e", 1.0),
        record("f", 1.0),
        tagged("g", 1.0, &[("site", "")]),
        Record { sensor: SensorId(99), ..record("f", 1.0) },
    ];
    for _ in 0..2 {
        text.clear();
        assert_eq!(writer.lines(&records, &names, &mut text), 6);
        let left_out = writer.take_left_out();
        assert_eq!((left_out.not_finite, left_out.not_sayable, left_out.total()), (1, 4, 5));
        assert_eq!(writer.take_left_out().total(), 0);
        assert_eq!(text, b"f value=1.0 0\n");
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-zA-Z_0-9/é-]{1,10}", 1 => "[ab,= \\\\]{0,5}[a-z]", 1 => "\\PC{1,4}[a-z]"]
        .prop_filter("it would be a comment", |name: &String| !name.starts_with('#'))
}

fn escaped(name: &str) -> String {
    name.replace(',', "\\,").replace('=', "\\=").replace(' ', "\\ ")
}

/// A field's value as text and what it means; `None` for a text.
fn field_value() -> impl Strategy<Value = (String, Option<f64>)> {
    prop_oneof![
        4 => any::<f64>().prop_filter("there are no others", |v| v.is_finite()).prop_map(|v| (v.to_string(), Some(v))),
        2 => "-?[0-9]{1,8}(\\.[0-9]{1,5})?".prop_map(|text| (text.clone(), text.parse().ok())),
        2 => any::<i32>().prop_map(|v| (format!("{v}i"), Some(f64::from(v)))),
        1 => any::<u32>().prop_map(|v| (format!("{v}u"), Some(f64::from(v)))),
        1 => Just(("true".to_owned(), Some(1.0))),
        1 => Just(("F".to_owned(), Some(0.0))),
        1 => "[a-z, =#\n\\\\\"]{0,8}".prop_map(|t| (format!("\"{}\"", t.replace('\\', "\\\\").replace('"', "\\\"")), None)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn lines_made_from_readings_give_those_readings(
        series in proptest::collection::vec((name(), proptest::collection::btree_map(name(), name(), 0..3)), 1..4),
        lines in proptest::collection::vec((
            0_usize..4,
            proptest::collection::vec((name(), field_value()), 1..5),
            proptest::option::weighted(0.9, 0_i64..i64::MAX),
        ), 1..12),
        pieces in proptest::collection::vec(1_usize..80, 1..4),
        crlf: bool,
    ) {
        let names = Names::default();
        let (mut text, mut wanted, mut texts) = (String::new(), Vec::new(), 0);
        // Twice, so that the second time the fast way finds everything known.
        for (which, fields, timestamp) in lines.iter().chain(&lines) {
            let (measurement, tags) = &series[which % series.len()];
            text.push_str(&escaped(measurement));
            for (key, value) in tags {
                text.extend([",", &escaped(key), "=", &escaped(value)]);
            }
            for (index, (key, (value, meant))) in fields.iter().enumerate() {
                text.push_str(if index == 0 { " " } else { "," });
                text.extend([&escaped(key), "=", value]);
                match meant {
                    None => texts += 1,
                    Some(value) => {
                        let mut quality = Quality::GOOD;
                        if timestamp.is_none() {
                            quality = quality.with(Quality::TIME_SUBSTITUTED);
                        }
                        let mut tags: Vec<(String, String)> = tags.clone().into_iter().collect();
                        tags.sort();
                        wanted.push(Reading {
                            timestamp_ns: timestamp.unwrap_or(NOW_NS),
                            value: value.to_bits(),
                            sensor: format!("{measurement}.{key}"),
                            tags,
                            unit: String::new(),
                            quality,
                        });
                    }
                }
            }
            if let Some(timestamp) = timestamp {
                text.extend([" ", &timestamp.to_string()]);
            }
            text.push_str(if crlf { "\r\n" } else { "\n" });
        }
        let mut reader = Reader::new(Format::LineProtocol, &settings());
        let events = read_in_pieces(&mut reader, &names, text.as_bytes(), &pieces, 1 << 20, 6);
        let (readings, rejections) = sorted(&events);
        prop_assert_eq!(readings, wanted, "{} {:?}", text, rejections);
        prop_assert_eq!(rejections.len(), texts);
    }

    #[test]
    fn any_bytes_are_used_up_and_pieces_do_not_matter(
        text in proptest::collection::vec(prop_oneof![
            3 => Just(b','), 4 => Just(b' '), 4 => Just(b'\n'), 1 => Just(b'"'), 1 => Just(b'\r'), 4 => Just(b'='),
            4 => Just(b'1'), 3 => Just(b'a'), 1 => Just(b'\\'), 1 => Just(b'#'), 1 => Just(b'i'), 1 => any::<u8>(),
        ], 0..300),
        pieces in proptest::collection::vec(1_usize..40, 1..5),
    ) {
        let told = ReadSettings { max_line: 64, ..settings() };
        let all = |pieces: &[usize]| {
            let mut reader = Reader::new(Format::LineProtocol, &told);
            let (readings, rejections) =
                sorted(&read_in_pieces(&mut reader, &Names::default(), &text, pieces, told.max_line, 5));
            let places: Vec<_> = rejections.into_iter().map(|event| match event {
                Event::Rejected(reason, line, at, _) => (reason, line, at),
                Event::Reading(_) => unreachable!(),
            }).collect();
            (readings, places)
        };
        prop_assert_eq!(all(&[text.len()]), all(&pieces));
    }

    #[test]
    fn what_is_written_reads_back(
        readings in proptest::collection::vec((0..i64::MAX, any::<f64>(), 0_usize..4, 0_usize..3, 0_u16..64), 1..20),
        sensors in proptest::collection::vec((name(), name(), proptest::collection::btree_map(name(), name(), 0..3)), 4),
    ) {
        let names = Names::default();
        let units = ["", "Cel", "m s, =x"].map(|code| names.unit_id(code).unwrap());
        let mut records = Vec::new();
        for (timestamp_ns, value, sensor, unit, flags) in readings {
            let (measurement, field, tags) = &sensors[sensor];
            let name = format!("{}.{}", measurement, field.replace('.', "_"));
            let tags: Vec<(&str, &str)> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let value = if value.is_finite() { value } else { 0.5 };
            let sensor = names.sensor_id(&name, &tags).unwrap();
            let quality = Quality(flags << 2).with_status(Status::Uncertain);
            records.push(Record { timestamp_ns, value, sensor, unit: units[unit], quality });
            records.push(Record { quality: Quality::GOOD, ..*records.last().unwrap() });
        }
        let mut writer = Writer::new(Format::LineProtocol, &WriteSettings::default());
        let mut text = Vec::new();
        prop_assert_eq!(writer.lines(&records, &names, &mut text), 0);
        let mut reader = Reader::new(Format::LineProtocol, &settings());
        let (back, rejected) = sorted(&read_in_pieces(&mut reader, &names, &text, &[17, 100], 1 << 20, 6));
        prop_assert_eq!(rejected, vec![], "{}", String::from_utf8_lossy(&text));
        let wanted: Vec<Reading> = records.iter().map(|record| names.reading(record)).collect();
        prop_assert_eq!(back, wanted, "{}", String::from_utf8_lossy(&text));
    }
}
