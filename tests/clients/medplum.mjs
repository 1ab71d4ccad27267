// SPDX-FileCopyrightText: 2026 The ndi authors
// SPDX-License-Identifier: EUPL-1.2
// What @medplum/core does with the FHIR base given, and what came of it, as JSON on standard output.
import { MedplumClient, OperationOutcomeError } from '@medplum/core';

const client = new MedplumClient({ baseUrl: new URL('.', process.argv[2]).href, fhirUrlPath: 'fhir', fetch, cacheTime: 0 });
const identifier = [{ system: 'urn:medplum', value: '1' }];
const facts = {};

// From create to delete.
let patient = await client.createResource({ resourceType: 'Patient', identifier });
facts.created = patient.meta.versionId;
const again = await client.createResourceIfNoneExist({ resourceType: 'Patient', identifier }, 'identifier=urn:medplum|1');
facts.conditionalCreate = again.id === patient.id;
const changed = await client.upsertResource(
  { resourceType: 'Patient', identifier, active: true },
  'identifier=urn:medplum|1',
);
facts.conditionalUpdate = { same: changed.id === patient.id, version: changed.meta.versionId, active: changed.active };
patient = await client.updateResource({ ...changed, gender: 'female' });
patient = await client.patchResource('Patient', patient.id, [{ op: 'replace', path: '/active', value: false }]);
facts.patched = { version: patient.meta.versionId, active: patient.active, gender: patient.gender };
facts.unchanged = (await client.updateResource(patient)).meta.versionId;
facts.vread = (await client.readVersion('Patient', patient.id, '1')).meta.versionId;

// Search with paging.
for (let number = 0; number < 7; number += 1) {
  await client.createResource({
    resourceType: 'Observation',
    status: 'final',
    code: { text: 'w' },
    subject: { reference: `Patient/${patient.id}` },
    valueQuantity: { value: number },
  });
}
const query = { subject: `Patient/${patient.id}`, _count: 3, _sort: '_lastUpdated' };
facts.pages = [];
for await (const page of client.searchResourcePages('Observation', query)) {
  facts.pages.push(page.map((each) => each.valueQuantity.value));
}
facts.one = (await client.searchOne('Patient', { identifier: 'urn:medplum|1' })).id === patient.id;
facts.none = (await client.searchOne('Patient', { identifier: 'urn:medplum|2' })) === undefined;
const counted = await client.search('Observation', { ...query, _summary: 'count' });
facts.counted = counted.total;
facts.read = (await client.readReference({ reference: `Patient/${patient.id}` })).gender;

// History, transaction, batch of what was asked at once.
const history = await client.readHistory('Patient', patient.id);
facts.history = history.entry.map((entry) => entry.request?.method);
const urn = 'urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a';
const entry = [
  { fullUrl: urn, resource: { resourceType: 'Patient' }, request: { method: 'POST', url: 'Patient' } },
  {
    resource: { resourceType: 'Basic', code: { text: 'x' }, subject: { reference: urn } },
    request: { method: 'POST', url: 'Basic' },
  },
];
const done = await client.executeBatch({ resourceType: 'Bundle', type: 'transaction', entry });
facts.transaction = done.entry.map((each) => each.response.status);
const together = new MedplumClient({
  baseUrl: new URL('.', process.argv[2]).href, fhirUrlPath: 'fhir', fetch, cacheTime: 0, autoBatchTime: 20,
});
const asked = await Promise.all([
  together.readResource('Patient', patient.id),
  together.search('Observation', query),
  together.readResource('Patient', 'absent').catch((error) => error.outcome),
]);
facts.batch = asked.map((each) => each.resourceType);

// Errors.
facts.validated = (await client.validateResource({ resourceType: 'Patient' })).issue[0].severity;
for (const [name, call] of Object.entries({
  invalid: () => client.createResource({ resourceType: 'Patient', gender: 'nope' }),
  absent: () => client.readResource('Patient', 'absent'),
  noParameter: () => client.search('Patient', { colour: 'red' }),
})) {
  try {
    await call();
  } catch (error) {
    facts[name] = { outcome: error instanceof OperationOutcomeError, says: error.message };
  }
}
await client.deleteResource('Patient', patient.id);
try {
  await client.readResource('Patient', patient.id);
} catch (error) {
  facts.deleted = error.outcome.issue[0].code;
}
console.log(JSON.stringify(facts));
