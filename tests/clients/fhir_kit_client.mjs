// SPDX-FileCopyrightText: 2026 The ndi authors
// SPDX-License-Identifier: EUPL-1.2
// What fhir-kit-client does with the FHIR base given, and what came of it, as JSON on standard output.
import { Client } from 'fhir-kit-client';

const client = new Client({ baseUrl: process.argv[2] });
const identifier = [{ system: 'urn:fhir-kit', value: '1' }];
const facts = {};

facts.fhirVersion = (await client.capabilityStatement()).fhirVersion;

// From create to delete.
let patient = await client.create({ resourceType: 'Patient', body: { resourceType: 'Patient', identifier } });
const { response } = Client.httpFor(patient);
facts.created = { status: response.status, location: response.headers.get('location'), id: patient.id };
const again = await client.create({
  resourceType: 'Patient',
  body: { resourceType: 'Patient', identifier },
  options: { headers: { 'If-None-Exist': 'identifier=urn:fhir-kit|1' } },
});
facts.conditionalCreate = again.id === patient.id;
patient = await client.update({
  resourceType: 'Patient',
  searchParams: { identifier: 'urn:fhir-kit|1' },
  body: { ...patient, active: true },
});
facts.conditionalUpdate = { version: patient.meta.versionId, active: patient.active };
patient = await client.update({ resourceType: 'Patient', id: patient.id, body: { ...patient, gender: 'female' } });
patient = await client.patch({
  resourceType: 'Patient',
  id: patient.id,
  jsonPatch: [{ op: 'replace', path: '/active', value: false }],
});
facts.patched = { version: patient.meta.versionId, active: patient.active, gender: patient.gender };
facts.vread = (await client.vread({ resourceType: 'Patient', id: patient.id, version: '1' })).meta.versionId;
facts.resolved = (await client.resolve({ reference: `Patient/${patient.id}` })).id === patient.id;

// A write that has missed another.
try {
  await client.update({
    resourceType: 'Patient',
    id: patient.id,
    body: patient,
    options: { headers: { 'If-Match': 'W/"1"' } },
  });
} catch (error) {
  facts.stale = { status: error.response.status, code: error.response.data.issue[0].code };
}

// Search with paging, by GET and by POST.
for (let number = 0; number < 7; number += 1) {
  await client.create({
    resourceType: 'Observation',
    body: {
      resourceType: 'Observation',
      status: 'final',
      code: { text: 'w' },
      subject: { reference: `Patient/${patient.id}` },
      valueQuantity: { value: number },
    },
  });
}
const searchParams = { subject: `Patient/${patient.id}`, _count: 3, _sort: '_lastUpdated' };
const pages = [];
let page = await client.search({ resourceType: 'Observation', searchParams });
while (page) {
  pages.push(page.entry.map((entry) => entry.resource.valueQuantity.value));
  page = await client.nextPage({ bundle: page });
}
facts.pages = pages;
const along = { subject: `Patient/${patient.id}`, _include: 'Observation:subject' };
const posted = await client.search({
  resourceType: 'Observation',
  searchParams: along,
  options: { postSearch: true },
});
facts.postSearch = posted.entry.map((entry) => entry.search.mode).sort();

// History of an instance, a type, all.
const methods = (bundle) => bundle.entry.map((entry) => entry.request.method);
const kinds = (bundle) => [...new Set(bundle.entry.map((entry) => entry.resource.resourceType))].sort();
facts.history = {
  instance: methods(await client.history({ resourceType: 'Patient', id: patient.id })),
  types: kinds(await client.history({ resourceType: 'Patient' })),
  system: kinds(await client.history()),
};

// Transaction and batch.
const urn = 'urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a';
const entry = [
  { fullUrl: urn, resource: { resourceType: 'Patient' }, request: { method: 'POST', url: '/Patient' } },
  {
    resource: { resourceType: 'Basic', code: { text: 'x' }, subject: { reference: urn } },
    request: { method: 'POST', url: '/Basic' },
  },
];
const done = await client.transaction({ body: { resourceType: 'Bundle', type: 'transaction', entry } });
facts.transaction = done.entry.map((each) => each.response.status);
const broken = [...entry, { resource: { resourceType: 'Basic' }, request: { method: 'POST', url: 'Basic' } }];
try {
  await client.transaction({ body: { resourceType: 'Bundle', type: 'transaction', entry: broken } });
} catch (error) {
  facts.brokenTransaction = { status: error.response.status, where: error.response.data.issue[0].expression };
}
const reads = [
  { request: { method: 'GET', url: `Patient/${patient.id}` } },
  { request: { method: 'GET', url: 'Patient/absent' } },
];
const batch = await client.batch({ body: { resourceType: 'Bundle', type: 'batch', entry: reads } });
facts.batch = batch.entry.map((each) => each.response.status.slice(0, 3));

// Operations, and errors.
const validated = await client.operation({
  name: '$validate',
  resourceType: 'Patient',
  input: { resourceType: 'Patient', gender: 'nope' },
});
facts.validated = validated.issue[0].expression;
for (const [name, call] of Object.entries({
  invalid: () => client.create({ resourceType: 'Patient', body: { resourceType: 'Patient', gender: 'nope' } }),
  absent: () => client.read({ resourceType: 'Patient', id: 'absent' }),
  noType: () => client.read({ resourceType: 'Pateint', id: '1' }),
  noParameter: () => client.search({ resourceType: 'Patient', searchParams: { colour: 'red' } }),
})) {
  try {
    await call();
  } catch (error) {
    const { resourceType, issue } = error.response.data;
    facts[name] = { status: error.response.status, resourceType, diagnostics: issue[0].diagnostics };
  }
}
await client.delete({ resourceType: 'Patient', id: patient.id });
try {
  await client.read({ resourceType: 'Patient', id: patient.id });
} catch (error) {
  facts.deleted = error.response.status;
}
console.log(JSON.stringify(facts));
