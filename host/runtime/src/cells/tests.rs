use super::*;

fn declaration(kind: MetricKind) -> MetricDeclaration {
    MetricDeclaration {
        name: "n".into(),
        kind,
        unit: "1".into(),
        help: String::new(),
        min: None,
        max: Some(10.0),
        largest_step: None,
        buckets: vec![1.0, 2.0],
    }
}

fn cells() -> Cells {
    Cells::new("c", Trail::new(), Arc::default())
}

fn open(cells: &Cells) -> &'static Part {
    cells.open(&declaration(MetricKind::Counter), 2).expect("room")
}

#[test]
fn a_forbidden_write_changes_nothing_and_is_counted() {
    let cells = cells();
    let part = open(&cells);
    assert!(part.add(4.0));
    for forbidden in [-1.0, f64::NAN, f64::INFINITY, 7.0] {
        assert!(!part.add(forbidden), "{forbidden}");
    }
    assert!(!part.set(1.0), "a counter is no gauge");
    assert!(!part.observe(1.0), "nor a histogram");
    let reading = &cells.read()[0];
    assert_eq!((reading.value.to_bits(), reading.writes, reading.violations), (4.0f64.to_bits(), 1, 4));
    assert_eq!(cells.violations(), 4);
}

#[test]
fn a_restarted_component_goes_on_counting_in_the_same_cells() {
    let cells = cells();
    for _ in 0..10 {
        assert!(open(&cells).add(1.0));
        cells.retire();
    }
    assert_eq!(cells.read()[0].value.to_bits(), 10.0f64.to_bits());
    let _two = (open(&cells), open(&cells));
    assert!(cells.open(&declaration(MetricKind::Counter), 2).is_none(), "the bound holds");
}

#[test]
fn the_cells_of_two_threads_are_one_counter() {
    let cells = cells();
    let (a, b) = (open(&cells), open(&cells));
    assert!(a.add(1.0) && b.add(2.0));
    assert_eq!(cells.read().len(), 1);
    assert_eq!(cells.read()[0].value.to_bits(), 3.0f64.to_bits());
}

#[test]
fn a_gauge_reads_as_the_thread_wrote_that_opened_it_last() {
    let cells = cells();
    let gauge = declaration(MetricKind::Gauge);
    let (a, b) = (cells.open(&gauge, 2).expect("room"), cells.open(&gauge, 2).expect("room"));
    assert!(a.set(5.0) && b.set(2.0) && a.set(6.0));
    assert_eq!(cells.read()[0].value.to_bits(), 2.0f64.to_bits());
    assert_eq!(cells.read()[0].writes, 3);
}

#[test]
fn an_observation_falls_into_the_first_bucket_that_reaches_to_it() {
    let cells = cells();
    let part = cells.open(&declaration(MetricKind::Histogram), 3).expect("room");
    for value in [0.5, 1.0, 1.5, 9.0, 10.0] {
        assert!(part.observe(value));
    }
    assert!(!part.observe(f64::NAN));
    assert!(!part.observe(11.0));
    let reading = &cells.read()[0];
    let distribution = reading.distribution.as_ref().expect("a histogram");
    assert_eq!(distribution.counts, [2, 1, 2]);
    assert_eq!((reading.value.to_bits(), reading.violations), (22.0f64.to_bits(), 2));
    assert!(cells.open(&declaration(MetricKind::Histogram), 5).is_none(), "each bucket is a cell");
}

#[test]
fn asking_for_what_was_not_declared_counts_against_the_component() {
    let cells = cells();
    cells.undeclared("m");
    cells.undeclared("m");
    assert_eq!(cells.violations(), 2);
}
