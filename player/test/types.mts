// What a program in TypeScript may and may not write. It is compiled, and never run.

import { attach, create, type Cues } from "cuegate-player";
import { create as alone } from "cuegate-player/core";
import { useCue, useCueState } from "cuegate-player/react";

interface Answer {
  question: number;
  answer: string;
}
type Events = { "quiz.answer": Answer; vote: number };

declare const video: HTMLVideoElement;
const cues = attach<Events>("native", video, { early: 0.04, onerror: console.error });
const off: () => void = cues.on("quiz.answer", ({ data, type, time, late }) => {
  const answer: string = data.answer;
  const exact: "quiz.answer" = type;
  return [answer, exact, time?.toFixed(), late.toFixed()];
});
cues.on("vote", ({ data }) => data.toFixed());
cues.on("*", (event) => {
  if (event.type === "vote") event.data.toFixed();
  else event.data.question.toFixed();
});
cues.on("#state", ({ key, value, deleted }) => [key.length, value, deleted]);
cues.on("#complete", ({ complete }) => complete);
cues.on("#foreign", ({ text, time }) => [text.length, time?.toFixed()]);
const votes: number | undefined = cues.state<number>("votes");
const known: boolean = cues.known("votes") && cues.complete;
const keys: string[] = cues.keys();
cues.stop();
// @ts-expect-error: there is no such type
cues.on("quiz.question", () => {});
// @ts-expect-error: it is a number
cues.on("vote", ({ data }) => data.question);
// @ts-expect-error: unknown is to be looked at
cues.state("votes").toFixed();
// @ts-expect-error: there is no such player
attach("flash", video);
// @ts-expect-error: only a core is told
cues.push("{}");

const any = create({ stateUrl: "https://cdn.example/v1/channels/quiz/state" });
any.push("{}");
any.push("{}", 1.5);
any.tick(1);
any.seek(2);
any.reset();
any.on("whatever", ({ data }) => data.anything);
const typed: Cues<Events> = alone<Events>();

useCue(typed, "vote", ({ data }) => data.toFixed());
useCue(null as Cues<Events> | null, "quiz.answer", ({ data }) => data.answer.length);
useCue(any, "*", ({ n }) => n.toFixed());
// @ts-expect-error: it is a number
useCue(typed, "vote", ({ data }) => data.answer);
const score: number | undefined = useCueState<number>(typed, "score");
export { keys, known, off, score, votes };
