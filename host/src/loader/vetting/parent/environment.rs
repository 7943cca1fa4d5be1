//! The environment that the vetting child gets: the daemon's own, without what nobody else is to know.
//!
//! A library may look for any variable in its constructor, and one that is surprised by an absent or short value is as
//! reproducible a fault as any other. So the child has every name, and values of the same length. A verdict is not bound
//! to the values: what a plugin does under others is not known (`docs/sandbox.md`).

#![forbid(unsafe_code)]

use cardcage_core::config::Secrets;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// Parts of names whose values are kept back: a variable too many costs a plugin that depends on its text, one too few
/// would be told to whatever the plugin may reach.
const SECRET_NAMES: [&[u8]; 11] = [
    b"AUTH",
    b"COOKIE",
    b"CREDENTIAL",
    b"DSN",
    b"KEY",
    b"PASS",
    b"PRIVATE",
    b"PWD_",
    b"SECRET",
    b"SESSION",
    b"TOKEN",
];
/// In an address with a password this stands between it and the host.
const USER_INFO: u8 = b'@';
/// What blanked values consist of.
const FILLER: u8 = b'x';
/// A panic's stack trace reads the program's own file and takes long; the child's are not shown.
const TRACES: [&str; 2] = ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"];

/// This process's environment as the child may have it.
pub(super) fn for_child(secrets: &Secrets) -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().map(|(name, value)| {
        let value = shown(&name, value, secrets);
        (name, value)
    })
}

fn shown(name: &OsStr, value: OsString, secrets: &Secrets) -> OsString {
    if TRACES.iter().any(|trace| name == *trace) {
        return "0".into();
    }
    let upper = name.as_bytes().to_ascii_uppercase();
    let told = SECRET_NAMES.iter().any(|part| upper.windows(part.len()).any(|window| window == *part));
    let text = value.to_string_lossy();
    let address = text.contains("://") && value.as_bytes().contains(&USER_INFO);
    if told || address || secrets.mask(&text) != text {
        return OsString::from_vec(vec![FILLER; value.len()]);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_keeps_its_length_only() {
        let secrets = Secrets::default();
        let shown = |name: &str, value: &str| shown(name.as_ref(), value.into(), &secrets);
        for (name, value) in [
            ("DB_PASSWORD", "hunter2"),
            ("aws_secret_access_key", "abc"),
            ("GITHUB_TOKEN", ""),
            ("DATABASE_URL", "postgres://me:hunter2@db/plant"),
        ] {
            assert_eq!(shown(name, value), "x".repeat(value.len()).as_str(), "{name}");
        }
        for (name, value) in [("PATH", "/usr/bin:/bin"), ("LD_LIBRARY_PATH", "/opt/lib"), ("HOME", "/root")] {
            assert_eq!(shown(name, value), value, "{name}");
        }
        assert_eq!(shown("RUST_BACKTRACE", "full"), "0");
    }
}
