//! What cannot be written now.

use super::*;

#[test]
fn while_the_folder_is_gone_changes_are_merged_and_then_all_of_them_are_told() {
    let mut bench = Bench::new();
    bench.policy.rotate_bytes = 1;
    let run = bench.run();
    let n = open(&run.cells("c"), MetricKind::Counter, "n");
    assert!(n.add(1.0));
    until(|| !bench.files().is_empty() && run.trail.status().entries > 0);
    let elsewhere = bench.folder.path().join("elsewhere");
    fs::rename(&bench.policy.folder, &elsewhere).expect("moved");
    (0..100_000).for_each(|_| assert!(n.add(1.0)));
    until(|| run.trail.status().stuck.is_some());
    fs::rename(&elsewhere, &bench.policy.folder).expect("moved back");
    until(|| run.trail.status().stuck.is_none());
    let records = bench.proven(run.end());
    assert_eq!(writes(&entries(&records, "n")), 100_001);
}
