//! Compound units as an algebra: what holds for all of them, and what is known of some.

use super::*;
use crate::units::table::PREFIXES;

/// Compounds with their values, from their definitions.
#[test]
fn compounds_convert_exactly() {
    for (value, from, to, expected) in [
        (1.0, "kg.m/s2", "N", 1.0),
        (1.0, "N/m2", "Pa", 1.0),
        (1.0, "J/s", "W", 1.0),
        (1.0, "V/A", "Ohm", 1.0),
        (1.0, "kWh/m3", "MJ/m3", 3.6),
        (1.0, "kWh/m³", "J/L", 3_600.0),
        (5.7, "W/(m2.K)", "kW/(m2.K)", 0.0057),
        (1.0, "Btu/(h.ft2.degF)", "W/(m2.K)", 5.678_263_341_113_488),
        (1.0, "J/(kg.K)", "J/(g.degC)", 0.001),
        (1.0, "cal/(g.K)", "J/(kg.K)", 4_184.0),
        (90.0, "mg/dL", "g/L", 0.9),
        (60.0, "l/min", "L/s", 1.0),
        (1.0, "m3/d", "L/h", 125.0 / 3.0),
        (1.0, "1/s", "/min", 60.0),
        (1.0, "s-1", "Hz", 1.0),
        (1.0, "m^2", "cm²", 10_000.0),
        (1.0, "in2", "mm2", 645.16),
        (1.0, "yd^3", "ft3", 27.0),
        (1.0, "K/m", "degF/m", 1.8),
        (9.0, "degF/h", "K/h", 5.0),
        (1.0, "lbf.ft", "N.m", 1.355_817_948_331_400_4),
        (1.0, "kgf.cm", "N.mm", 98.0665),
        (1.0, "mg/kg", "ppm", 1.0),
        (1.0, "mmol/L", "mol/m3", 1.0),
        (1.0, "cP", "mPa.s", 1.0),
        (1.0, "cSt", "mm2/s", 1.0),
        (1.0, "lm/m2", "lx", 1.0),
        (1.0, "Wb/m2", "T", 1.0),
        (1.0, "MWh/a", "kWh/d", 1000.0 / 365.25),
        (1.0, "mph/s", "m/s2", 0.447_04),
        (1.0, "Ym", "Em", 1e6),
        (1.0, "Qm", "qm", 1e60),
        (1.0, "PiB", "TiB", 1024.0),
    ] {
        let found = convert(value, from, to);
        assert_eq!(found.to_bits(), f64::to_bits(expected), "{value} {from} is {found} {to}");
    }
}

#[test]
fn a_temperature_keeps_its_zero_alone_and_loses_it_in_a_compound() {
    assert_eq!(convert(0.0, "(degC)", "K").to_bits(), 273.15_f64.to_bits());
    assert_eq!(convert(1.0, "degC/s", "K/s").to_bits(), 1.0_f64.to_bits());
    assert_eq!(convert(1.0, "K2", "degC2").to_bits(), 1.0_f64.to_bits());
}

#[test]
fn quantities_that_share_their_powers_are_told_apart() {
    for (one, other) in [
        ("N.m", "J"),
        ("lbf.ft", "kWh"),
        ("m.kN", "W.s"),
        ("kWh/m3", "kPa"),
        ("MJ/L", "N/m2"),
        ("V.A", "J/s"),
        ("kV.kA", "W"),
        ("kVAh", "kWh"),
        ("kVA.h", "kWh"),
        ("kvar.h", "kWh"),
        ("kvar.s", "kVA.s"),
        ("Bq/m3", "Hz/m3"),
        ("Gy", "Sv"),
        ("Gy/h", "Sv/h"),
        ("J/kg", "Gy"),
        ("rad/s", "Hz"),
        ("%/h", "Hz"),
        ("lm", "cd"),
    ] {
        assert_eq!(unit(one).to(unit(other)), None, "{one} to {other}");
    }
    for (same, name) in [
        ("kg.m2/s2", Dimension::Energy),
        ("h.kW", Dimension::Energy),
        ("N.mm", Dimension::Torque),
        ("GJ/m3", Dimension::EnergyDensity),
        ("A.V", Dimension::ApparentPower),
        ("kvar.h", Dimension::ReactiveEnergy),
        ("uF", Dimension::Capacitance),
        ("m/m", Dimension::Fraction),
        ("cd.sr", Dimension::LuminousFlux),
    ] {
        assert_eq!(unit(same).dimension(), name, "{same}");
    }
    assert_eq!(unit("W/(m2.K)").dimension().name(), "compound");
    assert_eq!(unit("W/(m2.K)").dimension().to_string(), "kg/(s3.K)");
}

#[test]
fn one_unit_written_in_several_ways_is_one() {
    for (written, code) in [
        ("W/(m2.K)", "W/(m2.K)"),
        ("W/m2/K", "W/(m2.K)"),
        ("W.m-2.K-1", "W/(m2.K)"),
        ("W·m⁻²·K⁻¹", "W/(m2.K)"),
        ("W / (K * m^2)", "W/(m2.K)"),
        ("(m3)/h", "m3/h"),
        ("m^3/hr", "m3/h"),
        ("litre/minute", "L/min"),
        ("mol{Cr}/L", "mol/L"),
        ("{drops}/min", "/min"),
        ("(m/s)2", "m2/s2"),
        ("s/s", "1"),
        ("kWh/m2", "kW.h/m2"),
        ("J/kg/K", "J/(kg.K)"),
    ] {
        assert_eq!(unit(written).code(), unit(code).code(), "{written}");
        assert_eq!(unit(written), unit(code), "{written}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused_with_the_way_that_was_meant() {
    assert_eq!(parse("W/m2.K"), None);
    assert_eq!(nearest("W/m2.K").as_deref(), Some("W/(m2.K)"));
    let meant = unit("J/(kg.K)").dimension();
    assert_eq!(nearest_of(meant, "J/kg.K").as_deref(), Some("J/(kg.K)"));
    assert_eq!(nearest_of(Dimension::Energy, "J/kg.K"), None);
}

#[test]
fn what_is_no_compound_is_none() {
    for code in [
        "/",
        "m/",
        "m//s",
        "m..s",
        "(m",
        "m)",
        "()",
        "m()",
        "m0",
        "m10",
        "m^",
        "m^^2",
        "(m5)9",
        "kg m",
        "m{",
        "2m",
        "m/s/furlong",
        "F/m",
        "m9.m9",
        "[",
        "1/0",
        "m-",
        "m2-3",
        "kkg",
        "(m)(s)",
    ] {
        assert_eq!(parse(code), None, "`{code}`");
    }
    assert_eq!(parse(&"(".repeat(CODE_MAX_BYTES)), None);
    assert_eq!(parse(&"m.".repeat(1000)), None);
    assert_eq!(parse("m.s.A.K.mol.cd.g.By.lm"), None, "more parts than a unit can have");
}

/// A row whose code is a compound is worth what its parts are, and measures what they do.
#[test]
fn rows_that_are_compounds_agree_with_their_parts() {
    let mut seen = 0;
    for row in ROWS.iter().filter(|row| row.code.contains(['.', '/', '2', '3']) && !row.code.contains('[')) {
        let Some(factors) = Factors::parse(row.code) else {
            panic!("{} is no compound", row.code);
        };
        assert_eq!(factors.ratio(), Some(row.ratio()), "{}", row.code);
        assert_eq!(factors.dimension(), Some(row.dimension), "{}", row.code);
        seen += 1;
    }
    assert!(seen > 40, "only {seen}");
}

/// With every SI prefix, and not only with those in use. Where a unit in use looks like a unit with an odd prefix, it is
/// the one in use.
#[test]
fn no_name_means_two_units_but_for_those_in_use() {
    let mut seen = std::collections::BTreeSet::new();
    let mut hidden = Vec::new();
    for row in ROWS {
        let si = PREFIXES.iter().filter(|prefix| row.metric && prefix.si);
        let all = si.flat_map(|prefix| row.behind_prefix().map(move |s| format!("{}{s}", prefix.code)));
        for name in all {
            let found = unit(&name);
            if found.dimension() == row.dimension {
                assert!(seen.insert(name.clone()), "`{name}` twice");
            } else {
                hidden.push(format!("{name} is {} and not {}", found.dimension(), row.dimension));
            }
        }
    }
    hidden.sort();
    assert_eq!(hidden, ["PS is power and not conductance", "pH is acidity and not inductance"]);
}

#[test]
fn equal_powers_mean_one_named_dimension() {
    for dimension in Dimension::ALL {
        let found = Exponents::of(dimension).dimension();
        match dimension {
            Dimension::Torque => assert_eq!(found, Dimension::Energy),
            Dimension::EnergyDensity => assert_eq!(found, Dimension::Pressure),
            other => assert_eq!(found, other),
        }
    }
}

/// A product of up to four units of the table with small powers.
fn any_compound() -> impl Strategy<Value = String> {
    let atoms: Vec<String> = names().filter(|name| unit(name).to(unit(name)).is_some()).collect();
    let factor = (proptest::sample::select(atoms), -3..=3_i8);
    proptest::collection::vec(factor, 1..=4).prop_map(|factors| {
        let one = |(name, power): (String, i8)| match power {
            0 => format!("({name})"),
            power => format!("({name}){power}"),
        };
        factors.into_iter().map(one).collect::<Vec<_>>().join(".")
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same_unit(code in any_compound()) {
        // Past the bounds there is no unit, which is an answer as well.
        if let Some(unit) = parse(&code) {
            let again = parse(&unit.code());
            prop_assert_eq!(again, Some(unit), "{} printed as {}", code, unit.code());
            prop_assert_eq!(again.map(Unit::dimension), Some(unit.dimension()), "{}", code);
            prop_assert_eq!(again.map(|unit| unit.ratio), Some(unit.ratio), "{}", code);
        }
    }

    #[test]
    fn a_unit_by_itself_is_one(code in any_compound()) {
        if let Some(found) = parse(&format!("({code})/({code})")) {
            prop_assert_eq!(found, unit("1"), "{}", code);
        }
    }

    /// Exactly, since ratios are whole numbers.
    #[test]
    fn a_power_is_a_product_and_an_inverse_takes_it_back(name in any_name(), power in 1..=3_i8) {
        let product = vec![format!("({name})"); power.unsigned_abs().into()].join(".");
        prop_assert_eq!(parse(&format!("({name}){power}")), parse(&product));
        if let (Some(up), Some(down)) = (parse(&format!("({name}){power}")), parse(&format!("1/({product})"))) {
            prop_assert_eq!(up.ratio.times(down.ratio), Some(Ratio::ONE), "{}", name);
        }
    }

    #[test]
    fn a_prefix_is_its_power_of_ten(row in 0..ROWS.len(), prefix in 0..PREFIXES.len()) {
        let (row, prefix) = (&ROWS[row], &PREFIXES[prefix]);
        if !(row.metric && prefix.si) {
            return Ok(());
        }
        let (plain, found) = (unit(row.code), parse(&format!("{}{}", prefix.code, row.code)));
        if let Some(found) = found.filter(|found| found.dimension() == row.dimension) {
            prop_assert_eq!(Some(found.ratio), plain.ratio.times(prefix.ratio), "{}{}", prefix.code, row.code);
            prop_assert_eq!(found.dimension(), plain.dimension());
        }
    }

    #[test]
    fn compounds_go_there_and_back(one in any_compound(), other in any_compound(), value in -1e6..1e6_f64) {
        if let (Some(one), Some(other)) = (parse(&one), parse(&other))
            && let (Some(there), Some(back)) = (one.to(other), other.to(one))
        {
            let found = back.apply(there.apply(value));
            let moved = (there.add / there.multiply).abs() + (back.add / back.divide).abs();
            prop_assert!((found - value).abs() <= 8.0 * ulps(value.abs() + moved), "{value} became {found}");
        }
    }

    #[test]
    fn any_operators_are_read_without_a_panic(text in "[mskgAWhK0-9./()*^{}\\[\\]\\-]{0,40}") {
        let _ = parse(&text);
    }
}

fn any_name() -> impl Strategy<Value = String> {
    // By itself it is a pressure, as on a manometer; in a compound a mass on an area.
    let absolute = |name: &String| unit(name).zero_hundredths == 0 && name != "kg/cm2";
    proptest::sample::select(names().filter(absolute).collect::<Vec<_>>())
}
