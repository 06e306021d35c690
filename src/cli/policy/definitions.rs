//! Where the definitions are that documents are read against.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::catalogue;
use crate::cli::load::{configure, from_copy};
use crate::config::files::NamedPath;
use crate::config::{Files, GatewayConfig, Identity};
use crate::policy::Catalogue;
use crate::source::{Report, Source, Span};
use crate::sync;
use crate::types::Offering;

/// Where the definitions are.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Definitions {
    /// A folder with definitions, or one file
    #[arg(long, value_name = "DIR")]
    pub(super) definitions: Option<PathBuf>,
    /// The configuration of a gateway: the definitions that it uses
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

impl Definitions {
    /// What the definitions say there is; `None` after errors.
    pub(super) fn catalogue(&self, offering: &Offering, report: &Report) -> anyhow::Result<Option<Catalogue>> {
        if let Some(definitions) = &self.definitions {
            return Ok(catalogue(definitions, offering.clone(), report));
        }
        let path = self.config.as_deref().context("neither --definitions nor --config is given")?;
        let files = Files::default();
        let Ok(config) = GatewayConfig::load(path, &files, report) else { return Ok(None) };
        match &config.identity {
            // Its policies may be the very ones that are still to be mended.
            Identity::Files(identity) => {
                let found = sync::files::definitions(&identity.definitions, config.offering.clone(), &files, report);
                Ok(found.map(|snapshot| snapshot.catalogue().clone()))
            }
            Identity::Feed(identity) => {
                let Some(configured) = configure(path, report) else { return Ok(None) };
                let Some(keys) = &configured.feed else { return Ok(None) };
                let Some(snapshot) = from_copy(&config, identity, keys).context("the definitions of the gateway")? else {
                    bail!("the gateway of `{}` has no disk copy yet; name the definitions with --definitions", path.display());
                };
                Ok(Some(snapshot.catalogue().clone()))
            }
        }
    }

    /// The files and folders that the definitions are in, and the offering; `None` after errors.
    pub(super) fn paths(&self, offering: &Offering, report: &Report) -> anyhow::Result<Option<(Vec<NamedPath>, Offering)>> {
        if let Some(definitions) = &self.definitions {
            return Ok(Some((vec![named(definitions)], offering.clone())));
        }
        let path = self.config.as_deref().context("neither --definitions nor --config is given")?;
        let Ok(config) = GatewayConfig::load(path, &Files::default(), report) else { return Ok(None) };
        match config.identity {
            Identity::Files(identity) => Ok(Some((identity.definitions, config.offering))),
            Identity::Feed(_) => bail!("the gateway of `{}` follows a feed; name the definitions with --definitions", path.display()),
        }
    }
}

/// A path that a command line names.
pub(super) fn named(path: &Path) -> NamedPath {
    NamedPath { path: path.to_owned(), source: Source::new(path.display().to_string(), ""), span: Span::default() }
}
