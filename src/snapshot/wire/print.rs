//! Records as one line of JSON, with the members of their YAML form. What is printed here reads back as the same record.

use serde_json::{Value, json};

use super::{ConsoleOf, DocumentRef, Identity, Record};
use crate::source::SecretRef;
use crate::types::{KeyMethod, Network};

impl Record {
    /// One line of JSON; the same record always gives the same text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let value = match self {
            Self::Account(account) => {
                json!({"kind": "account", "id": account.id.to_string(), "name": account.name, "active": account.active})
            }
            Self::User(user) => json!({
                "kind": "user", "id": user.id.to_string(), "account": user.account.to_string(), "name": user.name,
                "root": user.root, "active": user.active,
            }),
            Self::Group(group) => {
                json!({"kind": "group", "id": group.id.to_string(), "account": group.account.to_string(), "name": group.name})
            }
            Self::Membership { group, user } => json!({"kind": "membership", "group": group.to_string(), "user": user.to_string()}),
            Self::Policy(policy) => json!({
                "kind": "policy", "id": policy.id.to_string(), "name": policy.name,
                "account": policy.account.map_or_else(|| "system".to_owned(), |account| account.to_string()),
                "document": document(&policy.document),
            }),
            Self::ResourcePolicy(policy) => {
                json!({"kind": "resource_policy", "resource": policy.resource, "document": document(&policy.document)})
            }
            Self::Attachment { policy, to: Identity::User(user) } => {
                json!({"kind": "attachment", "policy": policy.to_string(), "user": user.to_string()})
            }
            Self::Attachment { policy, to: Identity::Group(group) } => {
                json!({"kind": "attachment", "policy": policy.to_string(), "group": group.to_string()})
            }
            Self::Attachment { policy, to: Identity::Role(role) } => {
                json!({"kind": "attachment", "policy": policy.to_string(), "role": role.to_string()})
            }
            Self::AccessKey(key) => {
                let secret = match &key.secret {
                    SecretRef::Sealed(text) => json!({"sealed": text}),
                    SecretRef::File(file) => json!({"file": file}),
                };
                let value = json!({
                    "kind": "access_key", "id": key.id.to_string(), "user": key.user.to_string(), "secret": secret, "enabled": key.enabled,
                });
                with(with(with(value, "expires_at", key.expires_at), "parent", key.parent), "debug_until", key.debug_until)
            }
            Self::KeySecurity { user, method, allowed_addresses } => {
                let allowed = addresses(allowed_addresses.as_deref());
                let value = json!({"kind": "key_security", "user": user.to_string(), "allowed_addresses": allowed});
                with(value, "authentication_method", Some(method).filter(|method| **method != KeyMethod::Any).map(|method| method.as_str()))
            }
            Self::Definition { service, document } => json!({"kind": "definition", "service": service, "document": document}),
            Self::ConsoleAccess { of, allowed_addresses } => {
                let (word, id) = match of {
                    ConsoleOf::User(user) => ("user", user.to_string()),
                    ConsoleOf::Account(account) => ("account", account.to_string()),
                };
                json!({"kind": "console_access", word: id, "allowed_addresses": addresses(allowed_addresses.as_deref())})
            }
            Self::TokensValidFrom { user, sequence } => {
                json!({"kind": "tokens_valid_from", "user": user.to_string(), "sequence": sequence})
            }
            Self::RevokedToken { user, id, expires_at } => json!({
                "kind": "revoked_token", "user": user.to_string(), "id": id.to_string(), "expires_at": expires_at.to_string(),
            }),
            Self::Role(role) => {
                json!({"kind": "role", "id": role.id.to_string(), "account": role.account.to_string(), "name": role.name})
            }
            Self::SessionsValidFrom { role, sequence } => {
                json!({"kind": "sessions_valid_from", "role": role.to_string(), "sequence": sequence})
            }
            Self::TokenKey(key) => {
                let value = json!({"kind": "token_key", "id": key.id.to_string(), "public_key": key.public_key.to_string()});
                with(value, "not_after", key.not_after)
            }
        };
        value.to_string()
    }
}

fn document(document: &DocumentRef) -> Value {
    match document {
        DocumentRef::Text(text, _) => json!(text),
        DocumentRef::File(file) => json!({"file": file}),
    }
}

/// With one member more, if there is something to say.
fn with(mut value: Value, name: &str, text: Option<impl ToString>) -> Value {
    if let (Some(text), Some(members)) = (text, value.as_object_mut()) {
        members.insert(name.to_owned(), json!(text.to_string()));
    }
    value
}

fn addresses(allowed: Option<&[Network]>) -> Value {
    match allowed {
        None => json!("not_used"),
        Some(networks) => networks.iter().map(|network| json!(network.to_string())).collect(),
    }
}
