use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

mod algebra;

fn unit(code: &str) -> Unit {
    parse(code).unwrap_or_else(|| panic!("`{code}` is not in the table"))
}

fn convert(value: f64, from: &str, to: &str) -> f64 {
    unit(from)
        .convert(unit(to), value)
        .unwrap_or_else(|| panic!("`{from}` does not measure what `{to}` does"))
}

/// Values that people can look up, to the last digit of a double.
#[test]
fn known_values_are_exact() {
    for (value, from, to, expected) in [
        (0.0, "degC", "K", 273.15),
        (0.0, "degC", "degF", 32.0),
        (37.0, "degC", "degF", 98.6),
        (98.6, "degF", "degC", 37.0),
        (-40.0, "degF", "degC", -40.0),
        (273.15, "K", "[degF]", 32.0),
        (1.0, "psi", "Pa", 6_894.757_293_168_362),
        (101_325.0, "Pa", "kPa", 101.325),
        (1.0, "atm", "mbar", 1013.25),
        (760.0, "Torr", "atm", 1.0),
        (1.0, "km", "m", 1000.0),
        (36.0, "km/h", "m/s", 10.0),
        (1.0, "mph", "m/s", 0.447_04),
        (1.0, "kn", "km/h", 1.852),
        (1.0, "kWh", "J", 3.6e6),
        (1.0, "kWh", "MJ", 3.6),
        (1.0, "MiB", "By", 1_048_576.0),
        (1.0, "GiB", "MiB", 1024.0),
        (8.0, "Mbit/s", "MB/s", 1.0),
        (1.0, "m3/h", "L/min", 50.0 / 3.0),
        (1.0, "lb", "kg", 0.453_592_37),
        (1.0, "in", "mm", 25.4),
        (180.0, "deg", "rad", std::f64::consts::PI),
        (60.0, "rpm", "deg/s", 360.0),
        (50.0, "%", "1", 0.5),
        (1.0, "%", "ppm", 10_000.0),
        (500.0, "uS/cm", "mS/cm", 0.5),
        (1.0, "mg/L", "g/m3", 1.0),
        (1.0, "d", "h", 24.0),
        (1500.0, "mAh", "Ah", 1.5),
        (1.0, "gal", "L", 3.785_411_784),
    ] {
        let found = convert(value, from, to);
        assert_eq!(found.to_bits(), expected.to_bits(), "{value} {from} is {found} {to}");
    }
}

#[test]
fn everyday_names_mean_their_codes() {
    for (name, code) in [
        ("degC", "Cel"),
        ("°C", "Cel"),
        ("C", "Cel"),
        ("Celsius", "Cel"),
        ("degF", "[degF]"),
        ("°F", "[degF]"),
        ("Fahrenheit", "[degF]"),
        ("psi", "[psi]"),
        ("B", "By"),
        ("bytes", "By"),
        ("MiB", "MiBy"),
        ("percent", "%"),
        ("ppm", "[ppm]"),
        ("mmHg", "mm[Hg]"),
        ("µm", "um"),
        ("μm", "um"),
        ("kΩ", "kOhm"),
        ("m³/h", "m3/h"),
        ("m/s²", "m/s2"),
        ("kWh", "kW.h"),
        ("l/min", "L/min"),
        ("kph", "km/h"),
        (" hPa ", "hPa"),
    ] {
        assert_eq!(unit(name).code(), code, "{name}");
        assert_eq!(unit(name), unit(code));
    }
}

#[test]
fn units_of_different_dimensions_are_not_converted() {
    for (from, to) in [("degC", "Pa"), ("N.m", "J"), ("Hz", "rpm"), ("%", "rad"), ("A", "As"), ("W", "VA")] {
        assert_eq!(unit(from).to(unit(to)), None, "{from} to {to}");
    }
}

/// Dividing takes four times as long as multiplying, so it is for where it makes a difference.
#[test]
fn conversions_divide_only_where_a_product_would_be_inexact() {
    for (from, to) in [("cm", "mm"), ("km", "m"), ("kWh", "MJ"), ("KiB", "MiB"), ("K", "degC"), ("bit", "B")]
    {
        let conversion = unit(from).to(unit(to));
        let product = conversion.is_some_and(Conversion::is_product);
        assert_eq!(product, (from, to) != ("kWh", "MJ"), "{from} to {to}: {conversion:?}");
    }
}

#[test]
fn what_is_no_unit_is_none() {
    for code in ["", "furlong", "kCel", "F", "degrees C", "m³³", "kk", "KB", "MM", "GiHz", "%%"] {
        assert_eq!(parse(code), None, "`{code}`");
    }
}

/// `mm` may be a millimetre only; a prefix must not make one unit look like another.
#[test]
fn no_name_means_two_units() {
    let mut seen = BTreeMap::new();
    for row in ROWS {
        let plain = row.symbols().chain(row.words.iter().copied()).map(str::to_owned);
        let prefixed = row.prefixes.iter().flat_map(|p| row.behind_prefix().map(move |s| format!("{p}{s}")));
        for name in plain.chain(prefixed) {
            let before = seen.insert(name.clone(), row.code);
            assert_eq!(before, None, "`{name}` is also {}", row.code);
        }
    }
}

#[test]
fn every_name_is_read_as_its_own_row() {
    for name in names() {
        let unit = unit(&name);
        assert_eq!(parse(&unit.code()), Some(unit), "{name}");
        assert!(unit.scale() > 0.0 && unit.scale().is_finite(), "{name}");
    }
}

#[test]
fn every_dimension_has_a_unit_and_a_name() {
    for dimension in Dimension::ALL {
        assert_eq!(Dimension::from_name(dimension.name()), Some(dimension));
        assert!(ROWS.iter().any(|row| row.dimension == dimension), "{}", dimension.name());
    }
}

#[test]
fn a_slip_is_answered_with_the_name_that_was_meant() {
    assert_eq!(nearest("dgeC").as_deref(), Some("degC"));
    assert_eq!(nearest("kpa").as_deref(), Some("kPa"));
    assert_eq!(nearest("farenheit").as_deref(), Some("fahrenheit"));
    assert_eq!(nearest("something else"), None);
    assert_eq!(nearest_dimension("presure"), Some("pressure"));
    assert_eq!(nearest_dimension("colour"), None);
}

fn any_unit() -> impl Strategy<Value = Unit> {
    let all: Vec<Unit> = names().map(|name| unit(&name)).collect();
    proptest::sample::select(all)
}

fn ulps(value: f64) -> f64 {
    value.abs().max(f64::MIN_POSITIVE) * f64::EPSILON
}

proptest! {
    /// Each way rounds at most three times, so there and back is at most six halves of an ulp off; a zero that is
    /// moved costs ulps of the larger of the numbers that are added.
    #[test]
    fn there_and_back_is_the_same_within_a_few_ulps(from in any_unit(), to in any_unit(), value in -1e9..1e9_f64) {
        if let (Some(there), Some(back)) = (from.to(to), to.to(from)) {
            let found = back.apply(there.apply(value));
            let moved = (there.add / there.multiply).abs() + (back.add / back.divide).abs();
            let allowed = 4.0 * ulps(value.abs() + moved);
            prop_assert!((found - value).abs() <= allowed, "{value} {} became {found} over {}", from.code(), to.code());
        } else {
            prop_assert!(from.dimension() != to.dimension());
        }
    }

    /// The conversion is the same as through the base unit.
    #[test]
    fn a_conversion_agrees_with_scale_and_offset(from in any_unit(), to in any_unit(), value in -1e6..1e6_f64) {
        if let Some(found) = from.convert(to, value) {
            let expected = (value + from.offset()) * from.scale() / to.scale() - to.offset();
            let size = (value.abs() + from.offset().abs()) * from.scale() / to.scale() + to.offset().abs();
            prop_assert!((found - expected).abs() <= 8.0 * ulps(size), "{value} {} is {expected} {}, not {found}", from.code(), to.code());
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in ".{0,12}") {
        let _ = (parse(&text), nearest(&text));
    }
}
