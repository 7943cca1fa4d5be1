//! What a library may not change about the process by being opened.
//!
//! A constructor that changes how floats are rounded, takes over a signal or moves to another folder harms every other
//! plugin. Compared is what the kernel tells of this process, and the floating-point control word of this thread.
//! One of the files with unsafe code: reading that control word.

#![expect(unsafe_code, reason = "the floating-point control word is read and restored by instructions")]

use std::collections::BTreeMap;
use std::path::PathBuf;

/// How much of the process nothing else changes meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alone {
    /// The vetting child: one thread, so threads and descriptors are compared too.
    Yes,
    /// The daemon: other threads may open files and start threads at any time.
    No,
}

/// The process at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProcessState {
    float_control: u64,
    folder: Option<PathBuf>,
    /// The lines of `/proc/self/status` that matter, by name.
    status: BTreeMap<&'static str, String>,
    descriptors: Option<usize>,
}

impl ProcessState {
    /// The state now.
    pub(crate) fn now(alone: Alone) -> Self {
        let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mut wanted = vec!["Umask", "SigBlk", "SigIgn", "SigCgt"];
        let descriptors = (alone == Alone::Yes).then(|| {
            wanted.push("Threads");
            std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
        });
        let line = |name: &str| {
            text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
        };
        Self {
            float_control: float_control::read(),
            folder: std::env::current_dir().ok(),
            status: wanted.into_iter().map(|name| (name, line(name).unwrap_or_default())).collect(),
            descriptors,
        }
    }

    /// What differs from `before`, in words; empty if nothing does.
    pub(crate) fn changed_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.float_control != before.float_control {
            changes.push(format!(
                "the floating-point control word went from {:#x} to {:#x} (a C library built with -Ofast or -ffast-math does \
                 that)",
                before.float_control, self.float_control
            ));
        }
        if self.folder != before.folder {
            changes.push(format!("the working folder went from {:?} to {:?}", before.folder, self.folder));
        }
        for (name, value) in &self.status {
            let was = before.status.get(name).map_or("", String::as_str);
            if was != value {
                let what = match *name {
                    "Umask" => "the umask",
                    "SigBlk" => "the blocked signals (a bit mask)",
                    "SigIgn" => "the ignored signals (a bit mask)",
                    "SigCgt" => "the signals with a handler (a bit mask)",
                    _ => "the number of threads",
                };
                changes.push(format!("{what} went from {was} to {value}"));
            }
        }
        if let (Some(was), Some(now)) = (before.descriptors, self.descriptors)
            && was != now
        {
            changes.push(format!("the open descriptors went from {was} to {now}"));
        }
        changes
    }

    /// Sets the floating-point control word back to what it was here.
    pub(crate) fn restore_floats(&self) {
        float_control::write(self.float_control);
    }
}

#[cfg(target_arch = "x86_64")]
mod float_control {
    use std::arch::asm;

    /// Sticky exception flags: left by ordinary arithmetic, so they don't count.
    const FLAGS: u32 = 0x3f;

    /// MXCSR without its flags, and above it the x87 control word.
    pub(super) fn read() -> u64 {
        let (mut mxcsr, mut x87) = (0_u32, 0_u16);
        // SAFETY: both instructions write the control words to these two variables and touch nothing else.
        unsafe {
            asm!(
                "stmxcsr [{mxcsr}]",
                "fnstcw [{x87}]",
                mxcsr = in(reg) &raw mut mxcsr,
                x87 = in(reg) &raw mut x87,
                options(nostack, preserves_flags),
            );
        }
        u64::from(x87) << 32 | u64::from(mxcsr & !FLAGS)
    }

    pub(super) fn write(control: u64) {
        let [b0, b1, b2, b3, x0, x1, ..] = control.to_le_bytes();
        let (mxcsr, x87) = (u32::from_le_bytes([b0, b1, b2, b3]), u16::from_le_bytes([x0, x1]));
        // SAFETY: both values came from `read`, so they have no reserved bits set.
        unsafe {
            asm!(
                "ldmxcsr [{mxcsr}]",
                "fldcw [{x87}]",
                mxcsr = in(reg) &raw const mxcsr,
                x87 = in(reg) &raw const x87,
                options(nostack, preserves_flags),
            );
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod float_control {
    use std::arch::asm;

    /// FPCR.
    pub(super) fn read() -> u64 {
        let control: u64;
        // SAFETY: reads a register that every thread may read.
        unsafe { asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack, preserves_flags)) };
        control
    }

    pub(super) fn write(control: u64) {
        // SAFETY: the value came from `read`.
        unsafe { asm!("msr fpcr, {}", in(reg) control, options(nomem, nostack, preserves_flags)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_arch = "x86_64")]
    const FLUSH_TO_ZERO: u64 = 1 << 15;
    #[cfg(target_arch = "aarch64")]
    const FLUSH_TO_ZERO: u64 = 1 << 24;

    #[test]
    fn an_unchanged_process_shows_no_change() {
        let before = ProcessState::now(Alone::No);
        assert_eq!(ProcessState::now(Alone::No).changed_since(&before), Vec::<String>::new());
    }

    #[test]
    fn a_changed_float_control_word_is_seen_and_set_back() {
        let before = ProcessState::now(Alone::No);
        float_control::write(before.float_control | FLUSH_TO_ZERO);
        let changed = ProcessState::now(Alone::No).changed_since(&before);
        before.restore_floats();
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert!(changed[0].contains("floating-point"));
        assert_eq!(ProcessState::now(Alone::No).changed_since(&before), Vec::<String>::new());
    }
}
