//! What `weir --version` says of the build.

/// After the program's name: the version, and what `build.rs` found out.
pub(super) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("WEIR_BUILD_COMMIT"),
    "\ncompiler: ",
    env!("WEIR_BUILD_RUSTC"),
    "\ntarget: ",
    env!("WEIR_BUILD_TARGET"),
    "\nprofile: ",
    env!("WEIR_BUILD_PROFILE"),
    "\nfeatures: ",
    env!("WEIR_BUILD_FEATURES"),
);
