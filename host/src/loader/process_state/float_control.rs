//! How floats are computed on this thread: rounding, flushing of tiny values, trapped exceptions.
//!
//! One of the files with unsafe code: the control words are read and written by instructions.

#![expect(unsafe_code, reason = "the floating-point control words are read and restored by instructions")]

use std::arch::asm;

/// Sticky exception flags: left by ordinary arithmetic, so they don't count.
#[cfg(target_arch = "x86_64")]
const FLAGS: u32 = 0x3f;

/// The x87 control word, and below it MXCSR without its flags.
#[cfg(target_arch = "x86_64")]
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

/// Sets them back to what [`read`] gave.
#[cfg(target_arch = "x86_64")]
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

/// In words, for a message.
#[cfg(target_arch = "x86_64")]
pub(super) fn describe(control: u64) -> String {
    format!("MXCSR {:#x}, x87 {:#x}", control & 0xffff_ffff, control >> 32)
}

/// FPCR.
#[cfg(target_arch = "aarch64")]
pub(super) fn read() -> u64 {
    let control: u64;
    // SAFETY: reads a register that every thread may read.
    unsafe { asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack, preserves_flags)) };
    control
}

/// Sets it back to what [`read`] gave.
#[cfg(target_arch = "aarch64")]
pub(super) fn write(control: u64) {
    // SAFETY: the value came from `read`.
    unsafe { asm!("msr fpcr, {}", in(reg) control, options(nomem, nostack, preserves_flags)) };
}

/// In words, for a message.
#[cfg(target_arch = "aarch64")]
pub(super) fn describe(control: u64) -> String {
    format!("FPCR {control:#x}")
}
