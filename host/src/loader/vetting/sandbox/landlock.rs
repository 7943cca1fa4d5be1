//! Landlock: which files the child may open and which TCP ports it may use. The only module that uses `landlock`.

#![forbid(unsafe_code)]

use super::reach::Reach;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

/// The newest version whose rights are asked for. A newer kernel gives these and no more.
const NEWEST: ABI = ABI::V6;

/// The version that a kernel offers, at most [`NEWEST`].
pub(super) fn offered() -> Option<u8> {
    super::kernel::landlock_version().map(|version| version.min(NEWEST as u8))
}

/// Confines this thread and those that it starts. `None`: the kernel enforces less than it offers, or nothing.
pub(super) fn enforce(reach: &Reach) -> Result<Option<u8>, RulesetError> {
    let Some(version) = offered() else {
        return Ok(None);
    };
    let abi = ABI::from(i32::from(version));
    // Rights that the version lacks are not asked for, so anything less than full enforcement is a failure.
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    rules = rules.handle_access(AccessFs::from_all(abi))?;
    if abi >= ABI::V4 {
        rules = rules.handle_access(AccessNet::from_all(abi))?;
    }
    if abi >= ABI::V6 {
        rules = rules.scope(Scope::from_all(abi))?;
    }
    let mut rules = rules.create()?;
    let run = BitFlags::from(AccessFs::Execute);
    for folder in reach.folders() {
        // What does not exist need not be allowed. A right that only folders know is dropped for files.
        let Ok(file) = PathFd::new(&folder.path) else {
            continue;
        };
        let read = AccessFs::from_read(abi) & !run;
        let mut rights = if folder.run { read | run } else { read };
        if folder.write {
            rights |= AccessFs::from_write(abi);
        }
        if !folder.path.is_dir() {
            rights &= AccessFs::from_file(abi);
        }
        rules = rules.add_rule(PathBeneath::new(file, rights))?;
    }
    if abi >= ABI::V4 {
        for port in Reach::ports(&reach.connect) {
            rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        }
        for port in Reach::ports(&reach.listen) {
            rules = rules.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
        }
    }
    let status = rules.restrict_self()?;
    Ok((status.ruleset == RulesetStatus::FullyEnforced).then_some(version))
}
