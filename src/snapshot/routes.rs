//! Path templates to operations: a tree of decoded segments. Static segments win over parameters.

use fnv::FnvHashMap;
use smallvec::SmallVec;

use crate::types::Path;

/// A path's parameters, in the order of the template.
pub type Parameters<'a> = SmallVec<[&'a str; 6]>;

/// Path templates and what they lead to, several values per template (one per method).
#[derive(Debug)]
pub struct Routes<T> {
    root: Branch<T>,
}

/// The hash is not keyed: only operators put names into these tables, so nobody else can make them collide.
#[derive(Debug)]
struct Branch<T> {
    fixed: FnvHashMap<Box<str>, Branch<T>>,
    parameter: Option<Box<Branch<T>>>,
    values: Vec<T>,
}

impl<T> Default for Branch<T> {
    fn default() -> Self {
        Self { fixed: FnvHashMap::default(), parameter: None, values: Vec::new() }
    }
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { root: Branch::default() }
    }
}

/// Why a text is not a path template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Not `/`, segments and `{name}`.
    #[error("`{0}` is not a path template: segments after `/`, each a fixed text or one `{{name}}`")]
    Form(String),
    /// A name twice.
    #[error("the parameter `{0}` stands twice in the template")]
    Twice(String),
}

/// The parameter names of a template, in order.
///
/// # Errors
/// When the template is malformed.
pub fn parameter_names(template: &str) -> Result<Vec<&str>, TemplateError> {
    let mut names = Vec::new();
    for segment in segments(template)? {
        if let Segment::Parameter(name) = segment {
            if names.contains(&name) {
                return Err(TemplateError::Twice(name.to_owned()));
            }
            names.push(name);
        }
    }
    Ok(names)
}

/// A template's path, and the name in the query that tells its operation from others of the path: `/{bucket}?uploads`.
#[must_use]
pub fn split(template: &str) -> (&str, Option<&str>) {
    template.split_once('?').map_or((template, None), |(path, name)| (path, Some(name)))
}

enum Segment<'a> {
    Fixed(&'a str),
    Parameter(&'a str),
}

fn segments(template: &str) -> Result<Vec<Segment<'_>>, TemplateError> {
    let bad = || TemplateError::Form(template.chars().take(200).collect());
    let (path, subresource) = split(template);
    let rest = path.strip_prefix('/').ok_or_else(bad)?;
    if subresource.is_some_and(|name| name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')) {
        return Err(bad());
    }
    let count = rest.split('/').count();
    let mut found = Vec::with_capacity(count);
    for (index, piece) in rest.split('/').enumerate() {
        let name = piece.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
        found.push(match name {
            Some(name) if !name.is_empty() && !name.contains(['{', '}']) => Segment::Parameter(name),
            None if !piece.contains(['{', '}', '%', '?', '#']) && (!piece.is_empty() || index + 1 == count) => Segment::Fixed(piece),
            Some(_) | None => return Err(bad()),
        });
    }
    Ok(found)
}

impl<T> Routes<T> {
    /// The values stored under a template of this shape (parameter names do not count).
    ///
    /// # Errors
    /// When the template is malformed.
    pub fn at(&mut self, template: &str) -> Result<&mut Vec<T>, TemplateError> {
        let mut branch = &mut self.root;
        for segment in segments(template)? {
            branch = match segment {
                Segment::Fixed(text) => branch.fixed.entry(text.into()).or_default(),
                Segment::Parameter(_) => branch.parameter.get_or_insert_with(Box::default),
            };
        }
        Ok(&mut branch.values)
    }

    /// The value for a path that `rank` takes; the most specific template first, within it the lowest rank.
    ///
    /// The segments are decoded, so an encoded static sibling is that sibling; an encoded slash can only be
    /// inside a parameter, because no fixed segment holds one.
    pub fn find<'r, 'p>(&'r self, path: &'p Path<'_>, rank: impl Fn(&T) -> Option<u8>) -> Option<(&'r T, Parameters<'p>)> {
        let mut parameters = Parameters::new();
        let value = search(&self.root, path.segments(), &rank, &mut parameters)?;
        Some((value, parameters))
    }
}

fn search<'r, 'p, T>(
    branch: &'r Branch<T>,
    segments: &'p [std::borrow::Cow<'_, str>],
    rank: &impl Fn(&T) -> Option<u8>,
    parameters: &mut Parameters<'p>,
) -> Option<&'r T> {
    let Some((segment, rest)) = segments.split_first() else {
        let ranked = branch.values.iter().filter_map(|value| rank(value).map(|rank| (rank, value)));
        return ranked.min_by_key(|(rank, _)| *rank).map(|(_, value)| value);
    };
    if let Some(next) = branch.fixed.get(&**segment)
        && let Some(value) = search(next, rest, rank, parameters)
    {
        return Some(value);
    }
    // An empty segment (a trailing slash) is no value of a parameter.
    let next = branch.parameter.as_deref().filter(|_| !segment.is_empty())?;
    parameters.push(segment);
    let found = search(next, rest, rank, parameters);
    if found.is_none() {
        parameters.pop();
    }
    found
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes<(&'static str, u32)> {
        let mut routes = Routes::default();
        for (template, method, id) in [
            ("/v1/policies/{policy_id}", "GET", 1),
            ("/v1/policies/bulk", "DELETE", 2),
            ("/v1/policies/{id}/bindings", "GET", 3),
            ("/", "GET", 4),
            ("/v1/{a}/{b}/list", "GET", 5),
        ] {
            routes.at(template).unwrap().push((method, id));
        }
        routes
    }

    fn find(method: &str, raw: &str) -> Option<(u32, String)> {
        let path = Path::parse(raw).unwrap();
        let routes = routes();
        routes.find(&path, |(known, _)| (*known == method).then_some(0)).map(|((_, id), parameters)| (*id, parameters.join(",")))
    }

    #[test]
    fn static_wins_and_encodings_of_it_are_it() {
        assert_eq!(find("GET", "/v1/policies/p1"), Some((1, "p1".into())));
        assert_eq!(find("DELETE", "/v1/policies/bulk"), Some((2, String::new())));
        assert_eq!(find("DELETE", "/v1/policies/%62ulk"), Some((2, String::new())));
        assert_eq!(find("DELETE", "/v1/policies/b%75lk"), Some((2, String::new())));
        assert_eq!(find("GET", "/v1/policies/bulk"), Some((1, "bulk".into())));
        assert_eq!(find("GET", "/v1/policies/a%2Fb"), Some((1, "a/b".into())));
        assert_eq!(find("GET", "/v1%2Fpolicies/a"), None);
        assert_eq!(find("GET", "/v1/policies/p1/bindings"), Some((3, "p1".into())));
        assert_eq!(find("GET", "/v1/policies/p1/list"), Some((5, "policies,p1".into())));
        assert_eq!(find("GET", "/v1/policies/p1/"), None);
        assert_eq!(find("GET", "/v1/policies/"), None);
        assert_eq!(find("GET", "/V1/policies/p1"), None);
        assert_eq!(find("GET", "/"), Some((4, String::new())));
    }

    #[test]
    fn malformed_templates_are_refused() {
        for bad in ["", "v1", "/v1//x", "/v1/{a", "/v1/a{b}", "/v1/{}", "/v1/%61", "/v1/x?", "/v1/x?y=z", "/v1/x?y?z", "/v1/x?{y}"] {
            assert!(Routes::<u8>::default().at(bad).is_err(), "{bad}");
        }
        assert_eq!(parameter_names("/v1/{a}/x/{b}").unwrap(), ["a", "b"]);
        assert!(parameter_names("/v1/{a}/{a}").is_err());
        assert_eq!(parameter_names("/{a}/{b}?uploads").unwrap(), ["a", "b"]);
    }
}
