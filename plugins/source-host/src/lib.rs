//! Readings of the machine it runs on: processors, load, memory, disks, network, temperatures, uptime.

#![forbid(unsafe_code)]

mod machine;
mod round;

use cardcage_plugin_api::prelude::*;
use machine::Machine;
use round::Round;
use std::time::Duration;

/// The shortest `every`: usage of a processor over a shorter time is noise, and the kernel counts it in ticks of 10 ms.
const EVERY_MIN: Duration = sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;

/// What can be read.
#[settings]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `cpu.usage`, and `cpu.core.usage` with the tag `core`, in %.
    Cpu,
    /// `load.1m`, `load.5m`, `load.15m`: how many tasks run or wait, on average.
    Load,
    /// `memory.used`, `memory.available`, `memory.total`, `swap.used`, `swap.total`, in bytes.
    Memory,
    /// `disk.used`, `disk.total` in bytes, with the tags `mount` and `device`.
    Disks,
    /// `network.received`, `network.transmitted` in bytes per second, with the tag `interface`.
    Network,
    /// `temperature` in °C, with the tag `sensor`.
    Temperatures,
    /// `uptime` in seconds.
    Uptime,
}

impl Group {
    const ALL: [Self; 7] =
        [Self::Cpu, Self::Load, Self::Memory, Self::Disks, Self::Network, Self::Temperatures, Self::Uptime];

    const fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "%",
            Self::Load => "1",
            Self::Memory | Self::Disks => "By",
            Self::Network => "By/s",
            Self::Temperatures => "Cel",
            Self::Uptime => "s",
        }
    }
}

/// Settings of the source.
#[settings]
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// Time from one reading to the next; at least 200ms.
    #[serde(default = "default_every")]
    every: Interval,
    /// What to read. What this machine lacks (swap, temperatures) gives no readings.
    #[serde(default = "default_groups")]
    groups: Vec<Group>,
}

fn default_every() -> Interval {
    Interval(Duration::from_secs(1))
}

fn default_groups() -> Vec<Group> {
    Group::ALL.to_vec()
}

/// The source.
pub struct HostSource {
    host: Host,
    machine: Machine,
    round: Round,
    groups: Vec<Group>,
    every_ns: i64,
    /// When the next round is due; `None` before the first, which is due at once.
    due_ns: Option<i64>,
}

impl Source for HostSource {
    type Settings = HostSettings;

    fn describe(settings: &HostSettings) -> Description {
        let units = settings.groups.iter().map(|group| group.unit().to_owned());
        let mut description = Description::source()
            .rejects("sensor_limit")
            .units(UnitRules { gives: Some(units.collect()), ..UnitRules::default() });
        if settings.every.0 < EVERY_MIN {
            let message = format!(
                "{} is shorter than {}, the shortest that can be read",
                settings.every,
                Interval(EVERY_MIN)
            );
            description = description.problem("every", message);
        }
        if settings.groups.is_empty() {
            description = description.problem("groups", "no group is named, so nothing would be read");
        }
        let mut groups = settings.groups.iter().enumerate();
        if groups.any(|(index, group)| settings.groups[..index].contains(group)) {
            description =
                description.problem("groups", "a group is named twice, so its readings would come twice");
        }
        description
    }

    fn open(settings: HostSettings, host: &Host) -> Result<Self, PluginError> {
        Ok(Self {
            host: host.clone(),
            machine: Machine::open(&settings.groups)?,
            round: Round::new(host)?,
            groups: settings.groups,
            every_ns: i64::try_from(settings.every.0.as_nanos())?,
            due_ns: None,
        })
    }

    fn fill(&mut self, out: &mut Batch<'_>, wait_until_ns: i64) -> Result<Fill, PluginError> {
        let mut now_ns = out.now_ns();
        if self.round.is_given() {
            let due_ns = self.due_ns.unwrap_or(now_ns);
            if now_ns < due_ns {
                // The rest of the wait is the host's, so that a drain is never held up here.
                if due_ns > wait_until_ns || !self.host.wait_until(due_ns) {
                    return Ok(Fill::IdleUntil(due_ns));
                }
                now_ns = self.host.now_ns();
            }
            self.due_ns = Some(next_due_ns(due_ns, now_ns, self.every_ns));
            self.machine.read(&self.groups, &mut self.round.start(now_ns));
        }
        let unnamed = self.round.give(out);
        out.reject("sensor_limit", unnamed);
        Ok(Fill::Produced)
    }
}

/// The next time on the grid that `due_ns` is on; rounds that were missed are not made up for.
fn next_due_ns(due_ns: i64, now_ns: i64, every_ns: i64) -> i64 {
    let missed = now_ns.saturating_sub(due_ns).max(0) / every_ns;
    due_ns.saturating_add((missed + 1).saturating_mul(every_ns))
}

export_plugin! {
    name: "host",
    description: "reads the machine it runs on: processors, load, memory, disks, network, temperatures",
    components: [source HostSource as "host" { drops, read: ["/proc", "/sys"] }],
    probe: none("reads the machine"),
}

#[cfg(test)]
mod tests;
