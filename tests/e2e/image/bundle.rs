//! A container of the image: unpacked, and run as Kubernetes runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_harness::program;

use super::{build, succeed};
use crate::weir::Weir;

const USER: u32 = 65534;

const POLICY: &str = "
domain: shop
descriptors:
- {key: api_key, rate_limit: {unit: hour, requests_per_unit: 2}}
";

/// A container that has been unpacked and not yet run.
pub(super) struct Bundle {
    folder: TempDir,
}

impl Bundle {
    /// None if the test is to be skipped.
    pub(super) fn new() -> Option<Self> {
        let umoci = program::UMOCI.or_skip()?;
        program::RUNC.or_skip()?;
        let folder = tempfile::tempdir().expect("a folder");
        let layout = folder.path().join("layout");
        build(&layout, &[]);
        let image = format!("{}:latest", layout.display());
        succeed(
            Command::new(umoci)
                .args(["unpack", "--image", &image])
                .arg(folder.path().join("bundle")),
        );
        Some(Self { folder })
    }

    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("bundle/rootfs")
    }

    /// Runs it with a command of its own and these variables. It sees the network of this machine, and a folder `/policies`.
    pub(super) fn run(
        &self,
        name: &'static str,
        command: &[&str],
        variables: &[&str],
    ) -> Container {
        Container {
            weir: Weir::run(&mut self.command(name, command, variables)),
            state: self.state(),
            name,
        }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// What runs it.
    pub(super) fn command(&self, name: &str, command: &[&str], variables: &[&str]) -> Command {
        let policies = self.folder.path().join("policies");
        // Where envoyproxy/ratelimit has them, too.
        fs::create_dir_all(policies.join("config")).expect("created");
        fs::write(policies.join("config/shop.yaml"), POLICY).expect("written");
        let bundle = self.folder.path().join("bundle");
        let file = bundle.join("config.json");
        let text = fs::read_to_string(&file).expect("a configuration");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        restrict(&mut config, &policies);
        let process = &mut config["process"];
        if !command.is_empty() {
            process["args"] = json!(command);
        }
        process["env"] = json!(variables);
        fs::write(&file, config.to_string()).expect("written");
        let mut command = runc(&self.state());
        command.args(["run", "--bundle"]).arg(&bundle).arg(name);
        command
    }

    /// Has the kernel refuse sockets of IPv6, as it does on a machine that has none.
    pub(super) fn take_ipv6_away(&self) {
        const EAFNOSUPPORT: u32 = 97;
        const AF_INET6: u32 = 10;
        let file = self.folder.path().join("bundle/config.json");
        let text = fs::read_to_string(&file).expect("a configuration");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{
                "names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": EAFNOSUPPORT,
                "args": [{"index": 0, "value": AF_INET6, "op": "SCMP_CMP_EQ"}],
            }],
        });
        fs::write(file, config.to_string()).expect("written");
    }
}

/// A running container, which ends when dropped.
pub(super) struct Container {
    pub(super) weir: Weir,
    state: PathBuf,
    name: &'static str,
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = runc(&self.state)
            .args(["delete", "--force", self.name])
            .output();
    }
}

fn runc(state: &Path) -> Command {
    let mut command = Command::new(program::RUNC.or_skip().expect("it was there before"));
    command.arg("--root").arg(state);
    command
}

/// What a restricted namespace of Kubernetes demands; and the network of the test.
fn restrict(config: &mut Value, policies: &Path) {
    let process = &mut config["process"];
    process["terminal"] = json!(false);
    process["noNewPrivileges"] = json!(true);
    process["capabilities"] = json!({});
    assert_eq!(process["user"]["uid"], USER);
    assert_eq!(process["user"]["gid"], USER);
    config["root"]["readonly"] = json!(true);
    let namespaces = config["linux"]["namespaces"].as_array_mut();
    namespaces
        .expect("namespaces")
        .retain(|namespace| namespace["type"] != "network");
    let mounts = config["mounts"].as_array_mut().expect("mounts");
    if mounts
        .iter()
        .all(|mount| mount["destination"] != "/policies")
    {
        mounts.push(json!({
            "destination": "/policies", "type": "bind", "source": policies, "options": ["rbind", "ro"],
        }));
    }
}
