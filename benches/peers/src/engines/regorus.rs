//! Regorus: statements as data, keyed by action, then by type and account, then by effect and form. The rules only look up and compare.

use std::collections::BTreeMap;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine as Rego, Value};
use serde_json::{Map, json};

use super::Engine;
use crate::workload::{ACCOUNT, Asked, Name, Pattern, Statement, type_name};

const ENTRY: &str = "data.gate.allow";

const RULES: &str = r#"
package gate

import rego.v1

default allow := false

here := data.statements[input.action][input.owner]

allow if {
    permitted
    not denied
}

permitted if here.allow.exact[input.id]
permitted if {
    some prefix in here.allow.prefixes
    startswith(input.id, prefix)
}
permitted if {
    some suffix in here.allow.suffixes
    endswith(input.id, suffix)
}

denied if here.deny.exact[input.id]
denied if {
    some prefix in here.deny.prefixes
    startswith(input.id, prefix)
}
denied if {
    some suffix in here.deny.suffixes
    endswith(input.id, suffix)
}
"#;

/// Rules compiled once for the virtual machine, which is used again for every request.
pub(crate) struct Machine(RegoVM);

impl Machine {
    pub(crate) fn load(statements: &[Statement]) -> Self {
        let policy = engine(statements).compile_with_entrypoint(&ENTRY.into()).expect("rules that compile");
        let program = Compiler::compile_from_policy(&policy, &[ENTRY]).expect("rules that compile");
        let mut machine = RegoVM::new_with_policy(policy);
        machine.load_program(program);
        machine.set_data(data(statements)).expect("data beside the rules");
        Self(machine)
    }
}

impl Engine for Machine {
    fn allows(&mut self, asked: &Asked) -> bool {
        let Some(input) = input(asked) else { return false };
        self.0.set_input(input);
        self.0.execute_entry_point_by_index(0).expect("a decision") == Value::from(true)
    }
}

/// Rules parsed once for the interpreter, which is used again for every request.
pub(crate) struct Interpreter(Rego);

impl Interpreter {
    pub(crate) fn load(statements: &[Statement]) -> Self {
        Self(engine(statements))
    }
}

impl Engine for Interpreter {
    fn allows(&mut self, asked: &Asked) -> bool {
        let Some(input) = input(asked) else { return false };
        self.0.set_input(input);
        self.0.eval_rule(ENTRY.to_owned()).expect("a decision") == Value::from(true)
    }
}

fn engine(statements: &[Statement]) -> Rego {
    let mut engine = Rego::new();
    engine.add_policy("gate.rego".to_owned(), RULES.to_owned()).expect("rules");
    engine.add_data(data(statements)).expect("data");
    engine
}

fn data(statements: &[Statement]) -> Value {
    let mut actions = Map::new();
    for Statement { denies, action, service, kind, id } in statements {
        let effect = if *denies { "deny" } else { "allow" };
        let owner = owner(&type_name(*service, *kind), ACCOUNT);
        let none = || json!({"exact": {}, "prefixes": [], "suffixes": []});
        let owners = actions.entry(action.as_str()).or_insert_with(|| json!({}));
        let owners = owners.as_object_mut().expect("an object").entry(owner);
        let forms = &mut owners.or_insert_with(|| json!({"allow": none(), "deny": none()}))[effect];
        match id {
            Pattern::Exact(id) => forms["exact"][id] = json!(true),
            Pattern::Prefix(prefix) => forms["prefixes"].as_array_mut().expect("a list").push(json!(prefix)),
            Pattern::Suffix(suffix) => forms["suffixes"].as_array_mut().expect("a list").push(json!(suffix)),
        }
    }
    Value::from(json!({"statements": actions}))
}

fn input(asked: &Asked) -> Option<Value> {
    let name = Name::cut(&asked.srn)?;
    Some(Value::from(BTreeMap::from([
        (Value::from("action"), Value::from(asked.action.as_str())),
        (Value::from("owner"), Value::from(owner(name.of, name.account))),
        (Value::from("id"), Value::from(name.id)),
    ])))
}

/// `scp-service3:kind1/9b76...`
fn owner(of: &str, account: &str) -> String {
    [of, "/", account].concat()
}
