//! Policies and their statements, apart from conditions.

use super::dice::Dice;
use super::vocabulary::{
    ACCOUNTS, DOMAINS, ID_PATTERNS, IDS, KIND_PATTERNS, LEVELS, REGION_PATTERNS, ROLES, SERVICE_ACCOUNTS, UNKNOWN_ACTIONS, USERS,
};
use super::{Catalog, Plan, Resource};

/// Writes the policies of one case.
pub(super) struct Writer<'a> {
    pub(super) dice: &'a mut Dice,
    pub(super) catalog: &'a Catalog,
    pub(super) plan: &'a Plan,
}

/// Where a policy comes from.
pub(super) enum Origin<'a> {
    Identity {
        owner: &'a str,
    },
    Session {
        owner: &'a str,
    },
    /// Attached to this resource.
    Resource {
        place: &'a Resource,
    },
}

impl Writer<'_> {
    pub(super) fn policy(&mut self, origin: &Origin<'_>) -> String {
        let statements: Vec<String> = (0..*self.dice.one_of(&[1, 1, 2, 3])).map(|at| self.statement(origin, at)).collect();
        let members =
            vec![("Version".to_owned(), "\"2024-07-01\"".to_owned()), ("Statement".to_owned(), self.dice.list_or_scalar(&statements))];
        self.dice.object(members)
    }

    fn statement(&mut self, origin: &Origin<'_>, at: usize) -> String {
        let mut members = Vec::new();
        if self.dice.percent(25) {
            members.push(("Sid".to_owned(), self.dice.string(&format!("rule {at}"))));
        }
        let is_allow = self.dice.percent(if matches!(origin, Origin::Identity { .. }) { 76 } else { 84 });
        members.push(("Effect".to_owned(), self.dice.string(if is_allow { "Allow" } else { "Deny" })));
        if let Origin::Resource { .. } = origin {
            members.push(("Principal".to_owned(), self.principal()));
        }
        let (name, actions) = self.actions(origin);
        members.push((name.to_owned(), self.dice.list_or_scalar(&actions)));
        let resources: Vec<String> = match origin {
            Origin::Identity { owner } | Origin::Session { owner } => self.patterns(owner, is_allow),
            Origin::Resource { place } => self.patterns_below(place),
        };
        let resources: Vec<String> = resources.iter().map(|pattern| self.dice.string(pattern)).collect();
        members.push(("Resource".to_owned(), self.dice.list_or_scalar(&resources)));
        match self.dice.below(100) {
            0..4 => members.push(("Condition".to_owned(), "{}".to_owned())),
            chance if chance < if is_allow { 52 } else { 80 } => members.push(("Condition".to_owned(), self.condition())),
            _ => {}
        }
        self.dice.object(members)
    }

    fn actions(&mut self, origin: &Origin<'_>) -> (&'static str, Vec<String>) {
        let is_attached = matches!(origin, Origin::Resource { .. });
        let is_inverse = self.dice.percent(if is_attached { 6 } else { 12 });
        let mut expressions = Vec::new();
        for _ in 0..*self.dice.one_of(&[1, 1, 2, 3]) {
            let expression = match origin {
                Origin::Resource { place } => {
                    self.expression_of(&self.catalog.services[place.of.service].name, if is_inverse { 15 } else { 85 })
                }
                Origin::Identity { .. } | Origin::Session { .. } => self.expression(if is_inverse { 20 } else { 80 }),
            };
            let expression = if self.dice.percent(12) { self.filtered(expression) } else { expression };
            expressions.push(self.dice.string(&expression));
        }
        (if is_inverse { "NotAction" } else { "Action" }, expressions)
    }

    /// An action expression that matches the request's action, or nearly, in so many cases of a hundred.
    fn expression(&mut self, aim: usize) -> String {
        if !self.dice.percent(aim) {
            return match self.dice.below(6) {
                0 => self.dice.pick(UNKNOWN_ACTIONS).to_owned(),
                1 => format!("{}:*", self.dice.one_of(&self.catalog.services).name),
                2 => "nosuch:*".to_owned(),
                _ => self.dice.one_of(&self.catalog.actions).0.clone(),
            };
        }
        let (service, name) = self.plan.action.split_once(':').unwrap();
        match self.dice.below(16) {
            0..2 => "*".to_owned(),
            2 => "*:*".to_owned(),
            3..5 => format!("{service}:*"),
            5 => format!("*:{name}"),
            6..9 => format!("{service}:{}", self.dice.blur(name, false)),
            9 => format!("*:{}", self.dice.blur(name, false)),
            _ => self.plan.action.clone(),
        }
    }

    /// R28: the same of the serving service or of one that serves all.
    fn expression_of(&mut self, serving: &str, aim: usize) -> String {
        let (service, name) = self.plan.action.split_once(':').unwrap();
        let is_fit = service == serving || self.catalog.common.iter().any(|common| common == service);
        if is_fit && self.dice.percent(aim) {
            return match self.dice.below(4) {
                0 => format!("{service}:*"),
                1 => format!("{service}:{}", self.dice.blur(name, false)),
                _ => self.plan.action.clone(),
            };
        }
        let fits = |name: &str| name == serving || self.catalog.common.iter().any(|common| common == name);
        let fitting: Vec<&String> =
            self.catalog.actions.iter().map(|(name, _)| name).filter(|name| fits(name.split_once(':').unwrap().0)).collect();
        if self.dice.percent(20) { format!("{serving}:*") } else { (*self.dice.one_of(&fitting)).clone() }
    }

    /// R51: with an access-level filter, which lets the request's action pass more often than not.
    fn filtered(&mut self, expression: String) -> String {
        let own = self.catalog.levels.iter().find(|(name, _)| *name == self.plan.action).map(|(_, level)| level.as_str());
        let mut levels: Vec<&str> = (0..self.dice.between(1, 2)).map(|_| self.dice.pick(LEVELS)).collect();
        levels.extend(own.filter(|_| self.dice.percent(60)));
        self.dice.shuffle(&mut levels);
        let mut written: Vec<String> = Vec::new();
        for level in levels {
            if !written.iter().any(|other| other.eq_ignore_ascii_case(level)) {
                written.push(self.dice.odd_case(level));
            }
        }
        format!("{expression}[{}]", written.join(","))
    }

    /// The resources of a statement in a policy of this owner.
    fn patterns(&mut self, owner: &str, is_allow: bool) -> Vec<String> {
        let mut patterns = Vec::new();
        if self.dice.percent(35) {
            patterns.push("*".to_owned());
            if self.dice.percent(70) {
                return patterns;
            }
        }
        for resource in &self.plan.resources {
            if self.dice.percent(if is_allow { 92 } else { 65 }) {
                patterns.push(self.pattern_of(resource, owner));
            }
        }
        if patterns.is_empty() || self.dice.percent(20) {
            let (_, types) = self.dice.one_of(&self.catalog.actions);
            match types.first() {
                Some(of) => patterns.push(format!("srn:e:::::{}:{}/{}", self.spelling(of.service), of.name, self.dice.pick(ID_PATTERNS))),
                None => patterns.push("srn:e:::::nosuch:*/*".to_owned()),
            }
        }
        self.dice.shuffle(&mut patterns);
        patterns
    }

    /// A pattern that denotes the resource, or nearly.
    fn pattern_of(&mut self, resource: &Resource, owner: &str) -> String {
        let offering = if self.dice.percent(2) { "g" } else { "e" };
        let account = match self.dice.below(100) {
            0..4 => self.dice.pick(ACCOUNTS),
            4..50 if resource.account == owner || self.dice.percent(20) => "",
            _ => resource.account,
        };
        let region = match self.dice.below(100) {
            0..50 => resource.region.to_owned(),
            50..60 => self.dice.blur(resource.region, true),
            _ => self.dice.pick(REGION_PATTERNS).to_owned(),
        };
        let service = if self.dice.percent(97) { resource.of.service } else { self.dice.below(self.catalog.services.len()) };
        let kind = match self.dice.below(100) {
            0..80 => resource.of.name.clone(),
            80..93 => self.dice.blur(&resource.of.name, true),
            _ => self.dice.pick(KIND_PATTERNS).to_owned(),
        };
        let id = match self.dice.below(100) {
            0..50 => resource.id.clone(),
            50..78 => self.dice.blur(&resource.id, true),
            78..96 => self.dice.pick(ID_PATTERNS).to_owned(),
            _ => self.dice.pick(IDS).to_owned(),
        };
        format!("srn:{offering}::{account}:{region}::{}:{kind}/{id}", self.spelling(service))
    }

    fn spelling(&mut self, service: usize) -> String {
        self.dice.one_of(&self.catalog.services[service].spellings).clone()
    }

    /// R28: the resource that the policy is attached to, and what lies below it.
    fn patterns_below(&mut self, place: &Resource) -> Vec<String> {
        if self.dice.percent(30) {
            return vec!["*".to_owned()];
        }
        let mut patterns = vec![self.place(place, "")];
        if self.dice.percent(60) {
            let below = self.dice.pick(&["/*", "/*", "/?/*", "/a*", "/a.txt", "/2026년", "/*c"]);
            patterns.push(self.place(place, below));
        }
        if self.dice.percent(5) {
            patterns.push("*".to_owned());
        }
        self.dice.shuffle(&mut patterns);
        patterns
    }

    fn place(&mut self, place: &Resource, below: &str) -> String {
        let account = if self.dice.percent(50) { "" } else { place.account };
        let region = if self.dice.percent(50) { "" } else { place.region };
        format!("srn:e::{account}:{region}::{}:{}/{}{below}", self.spelling(place.of.service), place.of.name, place.id)
    }

    /// R22, R23, R29: who a resource policy is about; the request's principal more often than not.
    fn principal(&mut self) -> String {
        let (mut srns, mut domains) = (Vec::new(), Vec::new());
        if self.dice.percent(80) {
            match self.own_srn() {
                Some(srn) => srns.push(srn),
                None => domains.push(self.plan.principal.id.clone()),
            }
        }
        while srns.is_empty() && domains.is_empty() || self.dice.percent(25) {
            if self.dice.percent(25) {
                domains.push(self.dice.pick(DOMAINS).to_owned());
            } else {
                srns.push(self.other_srn());
            }
        }
        let mut members = Vec::new();
        for (name, mut values) in [("scp", srns), ("Service", domains)] {
            values.sort();
            values.dedup();
            self.dice.shuffle(&mut values);
            if !values.is_empty() {
                let values: Vec<String> = values.iter().map(|value| self.dice.string(value)).collect();
                members.push((name.to_owned(), self.dice.list_or_scalar(&values)));
            }
        }
        self.dice.object(members)
    }

    fn own_srn(&mut self) -> Option<String> {
        let principal = &self.plan.principal;
        let account = principal.account?;
        let service_type = self.dice.pick(&["iam", "scp-iam"]);
        let (kind, id) = match principal.kind {
            "root" if self.dice.percent(50) => ("user", "ROOT"),
            "root" => ("user", principal.id.as_str()),
            kind => (kind, principal.id.as_str()),
        };
        Some(format!("srn:e::{account}:::{service_type}:{kind}/{id}"))
    }

    fn other_srn(&mut self) -> String {
        let account = self.dice.pick(ACCOUNTS);
        let service_type = self.dice.pick(&["iam", "scp-iam"]);
        let (kind, id) = match self.dice.below(5) {
            0 => ("user", "ROOT"),
            1 => ("role", self.dice.pick(ROLES)),
            2 => ("service-account", self.dice.pick(SERVICE_ACCOUNTS)),
            3 => ("user", self.dice.pick(ROLES)),
            _ => ("user", self.dice.pick(USERS)),
        };
        format!("srn:e::{account}:::{service_type}:{kind}/{id}")
    }

    /// Policies attached to the request's resources, to what these are parts of, and to others.
    pub(super) fn attached_policies(&mut self) -> Vec<String> {
        let home = self.plan.principal.account;
        let mut attached = Vec::new();
        for resource in &self.plan.resources {
            let is_needed = home != Some(resource.account);
            if !self.dice.percent(if is_needed { 85 } else { 30 }) {
                continue;
            }
            let place = self.place_for(resource);
            let policy = self.policy(&Origin::Resource { place: &place });
            let members = vec![("attached_to".to_owned(), self.dice.string(&place.srn())), ("policy".to_owned(), policy)];
            attached.push(self.dice.object(members));
        }
        self.dice.shuffle(&mut attached);
        attached
    }

    fn place_for(&mut self, resource: &Resource) -> Resource {
        let mut place = Resource { service_type: self.spelling(resource.of.service), ..resource.clone() };
        match self.dice.below(20) {
            0 => self.dice.pick(IDS).clone_into(&mut place.id),
            1 => place.region = self.dice.pick(&["", "kr-east1"]),
            2 => place.account = self.dice.pick(ACCOUNTS),
            // part of the last segment is no parent
            3 => place.id = place.id.chars().take(2).collect(),
            4..12 => {
                let cut = place.id.match_indices('/').map(|(at, _)| at).collect::<Vec<usize>>();
                if !cut.is_empty() {
                    place.id.truncate(*self.dice.one_of(&cut));
                }
            }
            _ => {}
        }
        place
    }
}
