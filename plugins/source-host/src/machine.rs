//! What is read, and from where: the one place that knows the crate that reads the machine.

use crate::Group;
use crate::round::{Taking, Unit};
use cardcage_plugin_api::{PluginError, tracing};
use std::time::Instant;
use sysinfo::{Components, DiskRefreshKind, Disks, Networks, System};

/// The machine as it was read last.
pub(crate) struct Machine {
    system: System,
    disks: Disks,
    networks: Networks,
    components: Components,
    /// When processors and network were read last: what they say is about the time since then.
    cpu_read: bool,
    network_read: Option<Instant>,
}

impl Machine {
    /// Reads what needs two looks for the first time.
    pub(crate) fn open(groups: &[Group]) -> Result<Self, PluginError> {
        let mut machine = Self {
            system: System::new().map_err(|error| unreadable("processors and memory", &error))?,
            disks: Disks::new().map_err(|error| unreadable("disks", &error))?,
            networks: Networks::new().map_err(|error| unreadable("network interfaces", &error))?,
            components: Components::new().map_err(|error| unreadable("temperatures", &error))?,
            cpu_read: false,
            network_read: None,
        };
        if groups.contains(&Group::Cpu) {
            machine.system.refresh_cpu_usage();
            if machine.system.cpus().is_empty() {
                tracing::warn!("cannot read /proc/stat, so there will be no readings of processors");
            }
        }
        if groups.contains(&Group::Network) {
            machine.networks.refresh(true);
            machine.network_read = Some(Instant::now());
        }
        Ok(machine)
    }

    /// Reads the groups.
    pub(crate) fn read(&mut self, groups: &[Group], into: &mut Taking<'_>) {
        for group in groups {
            match group {
                Group::Cpu => self.read_cpu(into),
                Group::Load => read_load(into),
                Group::Memory => self.read_memory(into),
                Group::Disks => self.read_disks(into),
                Group::Network => self.read_network(into),
                Group::Temperatures => self.read_temperatures(into),
                Group::Uptime => read_uptime(into),
            }
        }
    }

    /// Usage is about the time between two rounds, so the first round has none.
    fn read_cpu(&mut self, into: &mut Taking<'_>) {
        if !std::mem::replace(&mut self.cpu_read, true) {
            return;
        }
        self.system.refresh_cpu_usage();
        if self.system.cpus().is_empty() {
            return;
        }
        into.take("cpu.usage", &[], Unit::Percent, f64::from(self.system.global_cpu_usage()));
        for cpu in self.system.cpus() {
            let core = cpu.name().trim_start_matches("cpu");
            into.take("cpu.core.usage", &[("core", core)], Unit::Percent, f64::from(cpu.usage()));
        }
    }

    fn read_memory(&mut self, into: &mut Taking<'_>) {
        self.system.refresh_memory();
        let system = &self.system;
        into.take_bytes("memory.used", &[], system.used_memory());
        into.take_bytes("memory.available", &[], system.available_memory());
        into.take_bytes("memory.total", &[], system.total_memory());
        if system.total_swap() > 0 {
            into.take_bytes("swap.used", &[], system.used_swap());
            into.take_bytes("swap.total", &[], system.total_swap());
        }
    }

    fn read_disks(&mut self, into: &mut Taking<'_>) {
        self.disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage());
        for disk in &self.disks {
            let (mount, device) = (disk.mount_point().to_string_lossy(), disk.name().to_string_lossy());
            let tags = [("mount", &*mount), ("device", &*device)];
            let used = disk.total_space().saturating_sub(disk.available_space());
            into.take_bytes("disk.used", &tags, used);
            into.take_bytes("disk.total", &tags, disk.total_space());
        }
    }

    fn read_network(&mut self, into: &mut Taking<'_>) {
        let Some(before) = self.network_read else {
            return;
        };
        let seconds = before.elapsed().as_secs_f64();
        // Too short a time for a rate: the first round, right after the source was opened.
        if seconds < crate::EVERY_MIN.as_secs_f64() / 2.0 {
            return;
        }
        self.networks.refresh(true);
        self.network_read = Some(Instant::now());
        for (name, interface) in &self.networks {
            let name = name.to_string_lossy();
            let tags = [("interface", &*name)];
            for (what, bytes) in
                [("network.received", interface.received()), ("network.transmitted", interface.transmitted())]
            {
                #[expect(clippy::cast_precision_loss, reason = "bytes of one interval, far below 2^53")]
                into.take(what, &tags, Unit::BytesPerSecond, bytes as f64 / seconds);
            }
        }
    }

    fn read_temperatures(&mut self, into: &mut Taking<'_>) {
        self.components.refresh(true);
        for component in &self.components {
            if let Some(temperature) = component.temperature() {
                let tags = [("sensor", component.label())];
                into.take("temperature", &tags, Unit::Celsius, f64::from(temperature));
            }
        }
    }
}

fn read_load(into: &mut Taking<'_>) {
    if let Ok(load) = System::load_average() {
        into.take("load.1m", &[], Unit::One, load.one);
        into.take("load.5m", &[], Unit::One, load.five);
        into.take("load.15m", &[], Unit::One, load.fifteen);
    }
}

fn read_uptime(into: &mut Taking<'_>) {
    if let Ok(seconds) = System::uptime() {
        #[expect(clippy::cast_precision_loss, reason = "seconds since a boot, far below 2^53")]
        into.take("uptime", &[], Unit::Seconds, seconds as f64);
    }
}

fn unreadable(what: &str, error: &sysinfo::Error) -> PluginError {
    PluginError::new(format!("cannot read {what} of this machine: {error:?}"))
}
