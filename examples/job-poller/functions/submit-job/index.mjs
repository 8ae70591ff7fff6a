// SubmitJob: hands a job to a batch system that takes a while.
//
// input   {"jobName": "monthly-report", "polls": 3, "fail": false}     both but the name may be left out
// output  {"jobId": "job-…", "jobName": "monthly-report", "status": "SUBMITTED", "polls": 0, "pollsNeeded": 3,
//          "fail": false}
//
// The job's whole state is in this output and comes back with every poll, so nothing has to be stored anywhere.
import { createHash } from "node:crypto";

export const handler = async ({ jobName, polls = 3, fail = false }) => {
  if (typeof jobName !== "string" || jobName === "") throw new TypeError("a job needs a jobName");
  const jobId = `job-${createHash("sha256").update(jobName).digest("hex").slice(0, 12)}`;
  console.log(`${jobId} is submitted`);
  return { jobId, jobName, status: "SUBMITTED", polls: 0, pollsNeeded: polls, fail };
};
