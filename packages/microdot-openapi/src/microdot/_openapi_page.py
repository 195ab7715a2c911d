"""The page of microdot-openapi: one file, nothing from another host, nothing of the document taken as HTML."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from urllib.parse import urlsplit

_SCRIPT = r"""
'use strict';
const make = (name, text, parent, attributes) => {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  for (const key in attributes || {}) element.setAttribute(key, attributes[key]);
  if (parent) parent.append(element);
  return element;
};
const main = document.querySelector('main');
const source = new URL(main.dataset.document, location.href);
const credentials = {};
let spec;

const resolve = (schema, depth) => {
  if (schema && schema.$ref && depth < 8) {
    let found = spec;
    for (const part of schema.$ref.slice(2).split('/'))
      found = (found || {})[part.replace(/~1/g, '/').replace(/~0/g, '~')];
    return found || {};
  }
  return schema || {};
};
const example = (schema, depth = 0) => {
  schema = resolve(schema, depth);
  if (depth > 6) return null;
  if ('default' in schema) return schema.default;
  if ('example' in schema) return schema.example;
  if (schema.examples) return schema.examples[0];
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return example(schema.anyOf[0], depth + 1);
  if (schema.type === 'object') {
    const value = {};
    for (const name in schema.properties || {}) value[name] = example(schema.properties[name], depth + 1);
    return value;
  }
  if (schema.type === 'array') return schema.items ? [example(schema.items, depth + 1)] : [];
  return {string: '', integer: 0, number: 0, boolean: false}[schema.type] ?? null;
};

const send = async (path, method, operation, form, output) => {
  const values = new FormData(form);
  const query = new URLSearchParams();
  const headers = {};
  for (const parameter of operation.parameters || []) {
    const value = values.get(parameter.in + ' ' + parameter.name);
    if (parameter.in === 'path') {
      const parts = parameter['x-slashes'] ? value.split('/') : [value];
      path = path.replace('{' + parameter.name + '}', () => parts.map(encodeURIComponent).join('/'));
    }
    else if (value && parameter.in === 'query') query.append(parameter.name, value);
    else if (value && parameter.in === 'header') headers[parameter.name] = value;
  }
  const options = {method: method.toUpperCase(), headers};
  for (const requirement of operation.security || [])
    for (const name in requirement) {
      const scheme = spec.components.securitySchemes[name];
      const secret = credentials[name];
      if (!secret || scheme.in === 'cookie') continue;
      if (scheme.type === 'apiKey') headers[scheme.name] = secret;
      else if (scheme.scheme === 'basic')
        headers.Authorization = 'Basic ' + btoa(String.fromCharCode(...new TextEncoder().encode(secret)));
      else headers.Authorization = scheme.scheme + ' ' + secret;
    }
  if (operation.requestBody && !['get', 'head'].includes(method)) {
    headers['Content-Type'] = values.get('type');
    options.body = values.get('body');
  }
  const base = ((spec.servers || [])[0] || {url: ''}).url.replace(/\/$/, '');
  const url = new URL(base + path, source);
  url.search = query;
  output.textContent = '…';
  try {
    const response = await fetch(url, options);
    const type = response.headers.get('Content-Type') || '';
    let body;
    if (/^text|json|xml|urlencoded/.test(type)) {
      body = await response.text();
      if (/json/.test(type)) try { body = JSON.stringify(JSON.parse(body), null, 2); } catch (error) { /* as it is */ }
    } else body = (await response.blob()).size + ' bytes';
    let head = response.status + ' ' + response.statusText + '\n';
    response.headers.forEach((value, name) => { head += name + ': ' + value + '\n'; });
    output.textContent = head + '\n' + body;
  } catch (error) {
    output.textContent = String(error);
  }
};

const show = (path, method, operation, parent) => {
  const details = make('details', '', parent, {id: operation.operationId || ''});
  const summary = make('summary', '', details);
  make('b', method.toUpperCase(), summary, {class: method});
  make('code', path, summary);
  make('span', operation.summary, summary);
  if (operation.deprecated) make('em', 'deprecated', summary);
  if (operation.description) make('p', operation.description, details);
  const form = make('form', '', details);
  for (const parameter of operation.parameters || []) {
    const label = make('label', parameter.name + (parameter.required ? ' *' : ''), form);
    const schema = resolve(parameter.schema, 0);
    make('small', parameter.in + ' ' + (schema.enum ? schema.enum.join(' | ') : schema.type || ''), label);
    const input = make('input', '', label, {name: parameter.in + ' ' + parameter.name});
    input.required = !!parameter.required;
    if ('default' in schema) input.value = schema.default;
  }
  if (operation.security)
    make('p', 'needs ' + operation.security.map(r => Object.keys(r).join(' and ') || 'nothing').join(', or '), form);
  if (operation.requestBody) {
    const content = operation.requestBody.content;
    const label = make('label', 'body', form);
    const select = make('select', '', label, {name: 'type'});
    for (const type in content) make('option', type, select);
    const area = make('textarea', '', label, {name: 'body', rows: 6});
    select.onchange = () => {
      const value = example((content[select.value] || {}).schema);
      area.value = typeof value === 'object' ? JSON.stringify(value, null, 2) : String(value);
    };
    select.onchange();
  }
  make('button', 'Send', form);
  const output = make('pre', '', form);
  form.onsubmit = event => { event.preventDefault(); send(path, method, operation, form, output); };
  const table = make('dl', '', details);
  for (const status in operation.responses) {
    const response = operation.responses[status];
    make('dt', status, table);
    const cell = make('dd', response.description, table);
    for (const type in response.content || {})
      make('pre', type + '\n' + JSON.stringify(resolve(response.content[type].schema, 0), null, 2), cell);
  }
};

fetch(source).then(response => response.json()).then(document_ => {
  spec = document_;
  document.title = spec.info.title;
  make('h1', spec.info.title + ' ' + spec.info.version, main);
  if (spec.info.description) make('p', spec.info.description, main);
  const schemes = (spec.components || {}).securitySchemes || {};
  for (const name in schemes) {
    if (schemes[name].in === 'cookie') continue;
    const label = make('label', name, main);
    make('small', schemes[name].scheme === 'basic' ? 'user:password' : schemes[name].type, label);
    const input = make('input', '', label, {type: 'password', autocomplete: 'off'});
    input.oninput = () => { credentials[name] = input.value; };
  }
  const groups = {};
  for (const path in spec.paths)
    for (const method in spec.paths[path]) {
      const operation = spec.paths[path][method];
      const tag = (operation.tags || [''])[0];
      if (!(tag in groups)) groups[tag] = [];
      groups[tag].push([path, method, operation]);
    }
  for (const tag in groups) {
    const section = make('section', '', main);
    if (tag) make('h2', tag, section);
    for (const [path, method, operation] of groups[tag]) show(path, method, operation, section);
  }
  main.dataset.ready = 'yes';
}).catch(error => make('p', 'The document cannot be read: ' + error, main));
"""

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.45 system-ui, sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 1rem; }
details { border: 1px solid #8886; border-radius: .4rem; margin: .5rem 0; padding: .5rem .7rem; }
summary { cursor: pointer; }
summary > * { margin-right: .7rem; }
summary b { display: inline-block; min-width: 4rem; color: #06c; }
summary b.post { color: #282; } summary b.delete { color: #c33; } summary b.put, summary b.patch { color: #a60; }
p { white-space: pre-line; }
label { display: block; margin: .5rem 0; }
small { margin: 0 .7rem; opacity: .7; }
input, textarea, select { font: inherit; display: block; width: 100%; box-sizing: border-box; }
pre { overflow: auto; background: #8882; padding: .5rem; border-radius: .3rem; white-space: pre-wrap; }
pre:empty { display: none; }
dt { font-weight: bold; }
"""


def _hash(text: str) -> str:
    return "'sha256-%s'" % base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def content_security_policy(servers: Iterable[str] = ()) -> str:
    """Return what the page may do: run its own script, and ask its own host and those of `servers`."""
    origins = {f"{url.scheme}://{url.netloc}" for url in map(urlsplit, servers) if url.netloc}
    return (
        f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; "
        f"connect-src 'self'{''.join(' ' + origin for origin in sorted(origins))}; base-uri 'none'; form-action 'none'"
    )


def page(document: str, servers: Iterable[str] = ()) -> str:
    """Return the page.

    Args:
        document: the URL of the document.
        servers: other places that the page may ask.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>API</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(content_security_policy(servers))}">'
        f"<style>{_STYLE}</style></head>\n"
        f'<body><main data-document="{escape(document)}"></main>\n<script>{_SCRIPT}</script></body></html>\n'
    )
