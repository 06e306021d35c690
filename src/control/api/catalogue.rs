//! Definitions of services, for the operator's people.

use serde::Serialize;

use super::call::{Answer, Call};
use super::error::ApiError;
use crate::control::service::definitions::{self, Details, Outcome, Put, Stored};
use crate::control::service::portcullis_srn;
use crate::control::store::definitions::{Definition, ORDERS};

const DEFINITION: &str = "definition";

#[derive(Serialize)]
struct DefinitionPage {
    count: u64,
    page: u64,
    size: u64,
    sort: Vec<String>,
    definitions: Vec<DefinitionBody>,
}

#[derive(Serialize)]
struct Wrapped {
    definition: DefinitionBody,
}

#[derive(Serialize)]
struct StoredBody {
    /// What policies lose by it; empty unless it was accepted.
    accepted_widening: Vec<String>,
    actions_added: Vec<String>,
    actions_removed: Vec<String>,
    definition: DefinitionBody,
    outcome: &'static str,
}

/// Lists leave the document out.
#[derive(Serialize)]
struct DefinitionBody {
    built_in: bool,
    created_at: String,
    created_by: String,
    creator_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    modified_at: String,
    modified_by: String,
    modifier_name: Option<String>,
    service: String,
    srn: String,
}

impl DefinitionBody {
    fn new(call: &Call, definition: Definition, document: Option<String>) -> Self {
        let Definition { service, built_in, authorship, .. } = definition;
        Self {
            built_in,
            created_at: authorship.created.at.to_string(),
            created_by: authorship.created.by,
            creator_name: authorship.created.name,
            document,
            modified_at: authorship.modified.at.to_string(),
            modified_by: authorship.modified.by,
            modifier_name: authorship.modified.name,
            srn: portcullis_srn(&call.store, call.caller.account, DEFINITION, &service),
            service,
        }
    }
}

pub(super) async fn list(call: Call) -> Result<Answer, ApiError> {
    let query = call.query();
    let asked = query.page(&ORDERS);
    let name = query.text("service");
    query.finish()?;
    let (definitions, count) = definitions::list(&call.store, name.as_deref(), &asked.page).await?;
    let definitions = definitions.into_iter().map(|definition| DefinitionBody::new(&call, definition, None)).collect();
    Ok(Answer::ok(&DefinitionPage { count, page: asked.page.number, size: asked.page.size, sort: asked.sort, definitions }))
}

pub(super) async fn show(call: Call) -> Result<Answer, ApiError> {
    let Details { definition, document } = definitions::show(&call.store, &call.id::<String>(DEFINITION, "service")?).await?;
    let revision = call.revision(definition.revision);
    Ok(Answer::ok(&Wrapped { definition: DefinitionBody::new(&call, definition, Some(document)) }).tagged(revision))
}

pub(super) async fn put(call: Call) -> Result<Answer, ApiError> {
    let (service, new) = (call.id::<String>(DEFINITION, "service")?, call.decode(Put::decode)?);
    let accepted = definitions::put(&call.store, &call.caller, &service, new, &call.precondition(), call.now).await?;
    let (accepted, Stored { details, outcome, effects }) = accepted.split();
    let revision = call.revision(details.definition.revision);
    let body = StoredBody {
        accepted_widening: effects.widenings,
        actions_added: effects.added,
        actions_removed: effects.removed,
        definition: DefinitionBody::new(&call, details.definition, Some(details.document)),
        outcome: match outcome {
            Outcome::Created => "created",
            Outcome::Changed => "changed",
            Outcome::Unchanged => "unchanged",
        },
    };
    let answer = match outcome {
        Outcome::Created => Answer::created(&body),
        Outcome::Changed | Outcome::Unchanged => Answer::ok(&body),
    };
    Ok(answer.tagged(revision).committed(&accepted))
}

pub(super) async fn delete(call: Call) -> Result<Answer, ApiError> {
    let service = call.id::<String>(DEFINITION, "service")?;
    let query = call.query();
    let accept_widening = query.boolean("accept_widening").unwrap_or(false);
    query.finish()?;
    let accepted = definitions::delete(&call.store, &call.caller, &service, accept_widening, &call.precondition(), call.now).await?;
    Ok(Answer::no_content().committed(&accepted))
}
