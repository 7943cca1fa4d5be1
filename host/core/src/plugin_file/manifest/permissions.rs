//! Whether declared permissions can be given: a path that is none, or an address without a port, would only be found out
//! when the sandbox has no rule for it.

use super::well_formed::{MOST_ENTRIES, Slip, shown, text};
use cardcage_plugin_api::manifest::Permissions;

/// An entry beginning so stands for the value of a setting.
const FROM_SETTINGS: &str = "settings.";

pub(super) fn check(permissions: &Permissions) -> Result<(), Slip> {
    for (kind, list) in permissions.lists() {
        if list.len() > MOST_ENTRIES {
            let found = format!("{} entries under permission `{kind}`", list.len());
            return Err(Slip::new(found, format!("at most {MOST_ENTRIES}")));
        }
        for (at, entry) in list.iter().enumerate() {
            text("permission", entry)?;
            if list[..at].contains(entry) {
                return Err(Slip::new(
                    format!("permission `{kind}: {}` twice", shown(entry)),
                    "each entry once",
                ));
            }
            let fits = match entry.strip_prefix(FROM_SETTINGS) {
                Some(key) => is_setting(key),
                None if is_address(kind) => is_host_and_port(entry),
                None => entry.starts_with('/'),
            };
            if !fits {
                let expected = if is_address(kind) {
                    "`settings.KEY`, or an address with its port: `localhost:1883`, `[::]:9000`, `*:443`"
                } else {
                    "`settings.KEY`, or a path from the root on: `/proc/stat`"
                };
                return Err(Slip::new(format!("permission `{kind}: {}`", shown(entry)), expected));
            }
        }
    }
    Ok(())
}

fn is_address(kind: &str) -> bool {
    kind == "connect" || kind == "listen"
}

/// `path`, `tls.certificate`: keys, one inside the other.
fn is_setting(key: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    key.split('.').all(|part| !part.is_empty() && part.chars().all(fits))
}

fn is_host_and_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_fits = match inside {
        Some(six) => six.parse::<core::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty() && !host.contains([':', '/', '[', ']']) && !host.contains(char::is_whitespace)
        }
    };
    digits && port.parse::<u16>().is_ok_and(|port| port > 0) && host_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: &str, entry: &str) -> bool {
        let list = vec![entry.to_owned()];
        let mut permissions = Permissions::default();
        match kind {
            "read" => permissions.read = list,
            "connect" => permissions.connect = list,
            "listen" => permissions.listen = list,
            _ => permissions.exec = list,
        }
        check(&permissions).is_ok()
    }

    #[test]
    fn a_permission_names_something_that_can_be_given() {
        for (kind, entry) in [
            ("read", "/proc/stat"),
            ("read", "settings.path"),
            ("exec", "settings.tools.list-all"),
            ("connect", "localhost:1883"),
            ("connect", "[2001:db8::1]:443"),
            ("listen", "0.0.0.0:65535"),
            ("listen", "settings.address"),
        ] {
            assert!(one(kind, entry), "{kind}: {entry}");
        }
        for (kind, entry) in [
            ("read", ""),
            ("read", "etc/passwd"),
            ("read", "settings"),
            ("read", "settings."),
            ("read", "settings.a..b"),
            ("exec", "relative"),
            ("connect", "nonsense"),
            ("connect", "host:"),
            ("connect", ":80"),
            ("connect", "host:+80"),
            ("connect", "2001:db8::1:443"),
            ("connect", "/run/socket"),
            ("listen", "0.0.0.0:99999"),
            ("listen", "0.0.0.0:0"),
        ] {
            assert!(!one(kind, entry), "{kind}: {entry}");
        }
    }
}
