//! NDJSON through the public interface: both ways through a line agree, with each other and with `serde_json`; nothing
//! panics; what is written reads back.

#[path = "support/names.rs"]
mod names;

use cardcage_codec::ndjson::{Reader, Step, Writer};
use cardcage_codec::{
    Defaults, Dictionary, FieldNames, ReadSettings, Reason, Rejection, TimestampForm, WriteSettings,
};
use cardcage_plugin_api::{Quality, Record, SensorId, Status};
use names::Names;
use proptest::prelude::*;

const NOW_NS: i64 = 1_800_000_000_000_000_000;

fn reader() -> Reader {
    Reader::new(ReadSettings::default())
}

fn line(text: &str) -> Result<Option<Record>, Rejection> {
    reader().line(text.as_bytes(), &Names::default(), NOW_NS)
}

fn reason(text: &str) -> Reason {
    line(text).expect_err(text).reason
}

#[test]
fn a_whole_line_becomes_a_record() {
    let names = Names::default();
    let text = r#"{"timestamp":1700000000000000000,"sensor":"a\"b","value":-1.5e1,"unit":"Cel","quality":"bad|clamped","tags":{"x":"1","n":2}}"#;
    let record = reader().line(text.as_bytes(), &names, NOW_NS).unwrap().unwrap();
    assert_eq!(record.timestamp_ns, 1_700_000_000_000_000_000);
    assert_eq!(record.value.to_bits(), (-15.0_f64).to_bits());
    assert_eq!(record.quality, Quality::CLAMPED.with_status(Status::Bad));
    names.with_unit(record.unit, |code| assert_eq!(code, "Cel")).unwrap();
    names
        .with_sensor(record.sensor, |name, tags| {
            assert_eq!((name, tags), ("a\"b", &[("n", "2"), ("x", "1")][..]));
        })
        .unwrap();
}

/// Once the order of keys is learned, texts are no longer looked at by the general reader.
#[test]
fn a_control_character_in_a_text_is_refused_by_the_learned_way_too() {
    let pattern = ReadSettings {
        timestamp: "%Y-%m-%d %H:%M:%S".parse::<TimestampForm>().unwrap(),
        ..ReadSettings::default()
    };
    let names = Names::default();
    for learned in [0, 5] {
        let mut reader = Reader::new(pattern.clone());
        let good = r#"{"timestamp":"2023-01-01 12:00:00","sensor":"abcdefgh","value":1,"unit":"Cel","quality":"good"}"#;
        for _ in 0..learned {
            assert!(matches!(reader.step(format!("{good}\n").as_bytes(), &names, NOW_NS), Step::Record(..)));
        }
        for (from, to) in
            [(" ", "\n"), (" ", "\t"), (" ", "\r"), ("cde", "c\0e"), ("Cel", "C\nl"), ("good", "g\nod")]
        {
            let odd = good.replacen(from, to, 1);
            let mut text = odd.clone().into_bytes();
            text.push(b'\n');
            let step = reader.step(&text, &names, NOW_NS);
            assert!(matches!(step, Step::Rejected(..)), "{odd:?} after {learned} lines: {step:?}");
        }
    }
}

#[test]
fn each_fault_has_its_reason_and_place() {
    for (text, reason, offset) in [
        ("nonsense", Reason::BadJson, 0),
        (r#"{"sensor":"a","value":1"#, Reason::BadJson, 23),
        (r#"{"sensor":"a","value":1} x"#, Reason::BadJson, 25),
        (r#"{"value":1}"#, Reason::NoSensor, 0),
        (r#"{"sensor":"","value":1}"#, Reason::NoSensor, 11),
        (r#"{"sensor":[],"value":1}"#, Reason::BadSensor, 10),
        (r#"{"sensor":1.5,"value":1}"#, Reason::BadSensor, 10),
        (r#"{"sensor":"a"}"#, Reason::MissingValue, 0),
        (r#"{"sensor":"a","value":null}"#, Reason::MissingValue, 22),
        (r#"{"sensor":"a","value":"1"}"#, Reason::BadNumber, 23),
        (r#"{"sensor":"a","value":1e999}"#, Reason::BadNumber, 22),
        (r#"{"sensor":"a","value":1,"timestamp":"yesterday"}"#, Reason::BadTimestamp, 37),
        (r#"{"sensor":"a","value":1,"unit":7}"#, Reason::BadUnit, 31),
        (r#"{"sensor":"a","value":1,"quality":"fine"}"#, Reason::BadQuality, 35),
        (r#"{"sensor":"a","value":1,"tags":{"x":[]}}"#, Reason::BadTags, 31),
        (r#"{"sensor":"a","value":1,"tags":"x"}"#, Reason::BadTags, 32),
    ] {
        assert_eq!(line(text).unwrap_err(), (Rejection { reason, offset }), "{text}");
    }
    let long = format!(r#"{{"sensor":"{}","value":1}}"#, "x".repeat(5000));
    assert_eq!(reason(&long), Reason::TooLong);
    assert_eq!(
        reader().line(b"{\"sensor\":\"\xff\",\"value\":1}", &Names::default(), 0).unwrap_err().offset,
        11
    );
}

#[test]
fn sensors_that_look_alike_are_never_taken_for_each_other() {
    let names = Names::default();
    let mut reader = reader();
    // Alike at both ends and in the middle, then many short ones of one length: whatever a quick look compares.
    let alike = |n: u32| format!("same-start-{n:04}-same-middle-of-the-name-{n:04}-same-end");
    let sensors: Vec<String> = (0..300).map(alike).chain((0..700).map(|n| format!("s{n:03}"))).collect();
    for round in 0..3 {
        for sensor in &sensors {
            for unit in ["Cel", "degF"].iter().cycle().skip(round).take(2) {
                let text = format!("{{\"sensor\":\"{sensor}\",\"value\":1,\"unit\":\"{unit}\"}}\n");
                let Step::Record(record, _) = reader.step(text.as_bytes(), &names, 0) else {
                    panic!("no record: {text}")
                };
                names.with_sensor(record.sensor, |name, _| assert_eq!(name, sensor)).unwrap();
                names.with_unit(record.unit, |code| assert_eq!(code, *unit)).unwrap();
            }
        }
    }
}

#[test]
fn a_full_dictionary_rejects_new_sensors_and_keeps_known_ones() {
    let names = Names { room: Some(1), ..Names::default() };
    let mut reader = reader();
    let text = |name: &str| format!("{{\"sensor\":\"{name}\",\"value\":1}}\n");
    for _ in 0..3 {
        assert!(matches!(reader.step(text("a").as_bytes(), &names, 0), Step::Record(..)));
        let Step::Rejected(rejection, _) = reader.step(text("b").as_bytes(), &names, 0) else {
            panic!("one sensor too many was taken");
        };
        assert_eq!(rejection.reason, Reason::SensorLimit);
    }
}

#[test]
fn a_reading_without_a_time_gets_one_and_says_so() {
    let record = line(r#"{"sensor":"a","value":1}"#).unwrap().unwrap();
    assert_eq!(record.timestamp_ns, NOW_NS);
    assert!(record.quality.has(Quality::TIME_SUBSTITUTED));
}

#[test]
fn keys_and_defaults_can_be_told() {
    let settings = ReadSettings {
        fields: FieldNames {
            sensor: "id".to_owned(),
            value: "v\u{e4}lue".to_owned(),
            ..FieldNames::default()
        },
        defaults: Defaults { sensor: Some("press \"7\"".to_owned()), unit: Some("degF".to_owned()) },
        timestamp: TimestampForm::Milliseconds,
        ..ReadSettings::default()
    };
    let names = Names::default();
    let mut reader = Reader::new(settings);
    let text = "{\"v\\u00e4lue\": 2, \"timestamp\": 1700000000123, \"sensor\": {}}\n".repeat(2);
    let Step::Record(first, len) = reader.step(text.as_bytes(), &names, NOW_NS) else { panic!("no record") };
    assert_eq!(reader.step(&text.as_bytes()[len..], &names, NOW_NS), Step::Record(first, len));
    assert_eq!(first.timestamp_ns, 1_700_000_000_123_000_000);
    names.with_sensor(first.sensor, |name, _| assert_eq!(name, "press \"7\"")).unwrap();
    names.with_unit(first.unit, |code| assert_eq!(code, "degF")).unwrap();
}

#[test]
fn of_a_key_that_comes_twice_the_last_wins() {
    let record = line(r#"{"sensor":"a","value":1,"value":2}"#).unwrap().unwrap();
    assert_eq!(record.value.to_bits(), 2.0_f64.to_bits());
}

#[test]
fn a_learned_layout_never_reads_across_a_line_end() {
    let mut reader = reader();
    let names = Names::default();
    let good = "{\"sensor\":\"a\",\"value\":1}\n";
    reader.step(good.as_bytes(), &names, 0);
    let torn = format!("{{\"sensor\":\"b\n{good}");
    let Step::Rejected(rejection, len) = reader.step(torn.as_bytes(), &names, 0) else {
        panic!("a torn line was taken")
    };
    assert_eq!((rejection.reason, len), (Reason::BadJson, 13));
    assert_eq!(reader.step(&good.as_bytes()[..10], &names, 0), Step::Incomplete);
    assert_eq!(reader.step(b" \r\n", &names, 0), Step::Blank(3));
}

#[test]
fn what_json_cannot_say_is_written_as_null() {
    let names = Names::default();
    let sensor = names.sensor_id("s", &[]).unwrap();
    let mut text = Vec::new();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let record = Record { value, sensor, ..Record::default() };
        assert_eq!(Writer::new(&WriteSettings::default()).lines(&[record], &names, &mut text), 0);
    }
    assert_eq!(text, b"{\"timestamp\":0,\"sensor\":\"s\",\"value\":null}\n".repeat(3));
}

#[test]
fn a_sensor_that_nobody_knows_is_left_out_and_counted() {
    let mut text = Vec::new();
    let unknown = Record { sensor: SensorId(7), ..Record::default() };
    assert_eq!(Writer::new(&WriteSettings::default()).lines(&[unknown], &Names::default(), &mut text), 1);
    assert!(text.is_empty());
}

/// A JSON string as some program may write it: plain, or with escapes that need not be.
fn json_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z_.0-9]{1,20}".prop_map(|s| format!("\"{s}\"")),
        1 => any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
        1 => Just(r#""a\u0062\/\"}{""#.to_owned()),
        1 => Just(r#""\ud83d\ude00\\""#.to_owned()),
    ]
}

fn json_number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,12})?([eE][-+]?[0-9]{1,2})?",
        any::<f64>()
            .prop_filter("JSON has no others", |v| v.is_finite())
            .prop_map(|v| serde_json::to_string(&v).unwrap()),
    ]
}

fn timestamp() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_u64..4_000_000_000_000_000_000).prop_map(|t| t.to_string()),
        (1_000_000_000_u64..2_000_000_000).prop_map(|t| t.to_string()),
        Just("\"2026-01-31T12:00:00.25+01:00\"".to_owned()),
        Just("1700000000.125".to_owned()),
        Just("\"soon\"".to_owned()),
    ]
}

fn member() -> impl Strategy<Value = String> {
    let tags = proptest::collection::vec((json_text(), json_text()), 0..3)
        .prop_map(|tags| tags.iter().map(|(k, v)| format!("{k}:{v}")).collect::<Vec<_>>().join(","));
    prop_oneof![
        6 => json_text().prop_map(|text| format!("\"sensor\":{text}")),
        6 => json_number().prop_map(|number| format!("\"value\":{number}")),
        6 => timestamp().prop_map(|timestamp| format!("\"timestamp\":{timestamp}")),
        2 => json_text().prop_map(|text| format!("\"unit\": {text}")),
        2 => tags.prop_map(|tags| format!("\"tags\":{{{tags}}}")),
        1 => Just("\"quality\":\"bad|stale\"".to_owned()),
        1 => Just("\"ok\":true".to_owned()),
        1 => Just("\"val\\u0075e\" : null".to_owned()),
        1 => json_text().prop_map(|text| format!("\"other\":{text}")),
        1 => json_number().prop_map(|number| format!("\"n\":{number}")),
        1 => Just("\"nested\":{\"value\":[1,{\"sensor\":2}]}".to_owned()),
    ]
}

/// Lines of one program: the same keys in the same order, mostly.
fn document() -> impl Strategy<Value = Vec<Vec<String>>> {
    proptest::collection::vec(proptest::collection::vec(member(), 1..7), 1..5)
}

/// What `serde_json` makes of a line: value, sensor and unit, if it is a reading.
fn oracle(text: &str) -> Option<(f64, String, String)> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    let text_of = |key: &str| match object.get(key) {
        None | Some(serde_json::Value::Null) => Some(String::new()),
        Some(value) => value.as_str().map(str::to_owned),
    };
    let value = object.get("value")?.as_f64()?;
    Some((value, text_of("sensor").filter(|name| !name.is_empty())?, text_of("unit")?))
}

/// What [`Reader::step`] is to find in a line, its line end not among its bytes.
fn generally(reader: &mut Reader, line: &[u8], names: &Names) -> Step {
    let len = line.len() + 1;
    match reader.line(line, names, NOW_NS) {
        Ok(Some(record)) => Step::Record(record, len),
        Ok(None) => Step::Blank(len),
        Err(rejection) => Step::Rejected(rejection, len),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_fast_way_the_general_way_and_serde_json_agree(lines in document(), values in proptest::collection::vec(json_number(), 3)) {
        let names = Names::default();
        let (mut fast, mut general) = (reader(), reader());
        for members in &lines {
            // The same shape again with other values: what the fast way is for.
            for value in &values {
                let text = format!("{{{}}}\n", members.join(",")).replace("\"value\":0", &format!("\"value\":{value}"));
                let stepped = fast.step(text.as_bytes(), &names, NOW_NS);
                let line = &text[..text.len() - 1];
                let expected = generally(&mut general, line.as_bytes(), &names);
                prop_assert_eq!(stepped, expected, "{}", text);
                match (stepped, oracle(line)) {
                    (Step::Record(record, _), Some((value, sensor, unit))) => {
                        // serde_json may be a last bit off; exactness is held by the tests of numbers.
                        prop_assert!((record.value - value).abs() <= value.abs() * 1e-15, "{}", text);
                        names.with_sensor(record.sensor, |name, _| assert_eq!(name, sensor)).unwrap();
                        names.with_unit(record.unit, |code| assert_eq!(code, unit)).unwrap();
                    }
                    (Step::Record(..), None) => prop_assert!(false, "serde_json does not take {}", text),
                    (Step::Rejected(rejection, _), Some(_)) => {
                        let of_time = matches!(rejection.reason, Reason::BadTimestamp | Reason::TimestampRange);
                        prop_assert!(of_time, "{}: {:?}", text, rejection);
                    }
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn lines_in_any_order_and_spacing_and_damaged_ones_are_read_as_the_general_way_reads_them(
        lines in proptest::collection::vec((proptest::collection::vec(member(), 1..8), "[ \t\r]{0,2}", proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(b'\\'), Just(b'"'), Just(b'{'), Just(b'}'), Just(b','), Just(0xC3), any::<u8>()]), 0..2)), 1..30),
    ) {
        let names = Names::default();
        let (mut fast, mut general) = (reader(), reader());
        for (members, space, damage) in lines {
            let mut text = format!("{space}{{{space}{}{space}}}{space}\n", members.join(&format!("{space},{space}"))).into_bytes();
            for (at, byte) in damage {
                let at = at.index(text.len() - 1);
                text[at] = if byte == b'\n' { b' ' } else { byte };
            }
            let expected = generally(&mut general, &text[..text.len() - 1], &names);
            // Another line behind it, as in a window.
            let len = text.len();
            text.extend_from_slice(b"{\"sensor\":\"next\",\"value\":1}\n");
            let stepped = fast.step(&text, &names, NOW_NS);
            prop_assert_eq!(stepped, expected, "{}", String::from_utf8_lossy(&text[..len]));
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_read_past_a_line(lines in document(), cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let names = Names::default();
        let mut reader = reader();
        let mut text: Vec<u8> = lines.iter().flat_map(|m| format!("{{{}}}\n", m.join(",")).into_bytes()).collect();
        for (at, byte) in cuts {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let mut at = 0;
        loop {
            let line_len = text[at..].iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            let len = match reader.step(&text[at..], &names, NOW_NS) {
                Step::Record(_, len) | Step::Blank(len) | Step::Rejected(_, len) => len,
                Step::Incomplete => break,
            };
            prop_assert_eq!(Some(len), line_len);
            at += len;
        }
        prop_assert!(!text[at..].contains(&b'\n'));
    }

    #[test]
    fn what_is_written_reads_back(
        readings in proptest::collection::vec((any::<i64>(), any::<f64>(), 0_usize..4, 0_usize..3, 0_u16..64), 1..20),
        sensors in proptest::collection::vec(("\\PC{1,12}|.{1,5}", proptest::collection::btree_map("[a-z\"\\\\é]{1,4}", any::<String>(), 0..3)), 4),
    ) {
        let names = Names::default();
        let units = ["", "Cel", "m\"\\\u{7}"].map(|code| names.unit_id(code).unwrap());
        let mut records = Vec::new();
        for (timestamp_ns, value, sensor, unit, flags) in readings {
            let (name, tags) = &sensors[sensor];
            let tags: Vec<(&str, &str)> = tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let timestamp_ns = timestamp_ns.checked_abs().unwrap_or(0).max(100_000_000_000_000_000);
            let value = if value.is_finite() { value } else { 0.5 };
            records.push(Record {
                timestamp_ns,
                value,
                sensor: names.sensor_id(name, &tags).unwrap(),
                unit: units[unit],
                quality: Quality(flags << 2).with_status(Status::Uncertain),
            });
            records.push(Record { quality: Quality::GOOD, ..*records.last().unwrap() });
        }
        let mut text = Vec::new();
        prop_assert_eq!(Writer::new(&WriteSettings::default()).lines(&records, &names, &mut text), 0);
        let (mut reader, mut at, mut back) = (reader(), 0, Vec::new());
        while at < text.len() {
            let Step::Record(record, len) = reader.step(&text[at..], &names, NOW_NS) else {
                return Err(TestCaseError::fail(String::from_utf8_lossy(&text[at..]).into_owned()));
            };
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&text[at..at + len]).is_ok());
            back.push(record);
            at += len;
        }
        prop_assert_eq!(back.len(), records.len());
        for (back, record) in back.iter().zip(&records) {
            prop_assert_eq!(back.value.to_bits(), record.value.to_bits());
            prop_assert_eq!(back, record);
        }
    }
}
