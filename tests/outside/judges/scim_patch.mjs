// scim-patch: what an independent implementation of RFC 7644 section 3.5.2 makes of each PATCH; cases in CASES, a JSON file.
import { readFileSync } from "node:fs";
import scimPatchModule from "scim-patch";

const { scimPatch } = scimPatchModule;
for (const { before, operations } of JSON.parse(readFileSync(process.env.CASES, "utf8"))) {
  let told;
  try {
    told = { after: scimPatch(structuredClone(before), operations, { mutateDocument: false, treatMissingAsAdd: true }) };
  } catch (refused) {
    told = { refused: `${refused.name}: ${refused.message}` };
  }
  console.log(JSON.stringify(told));
}
