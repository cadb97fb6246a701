// SPDX-License-Identifier: MIT
// A picture of a person or a group: cut to a square and uploaded, for no chat. Loaded when one is chosen.
import { ApiError } from "./session.js";
import { Upload } from "./upload.js";
import { el } from "./util.js";

const SIDE_PX = 640;

/** The middle of a picture, without what the camera wrote into the file. */
async function square(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new ApiError(0, "no_picture", "This file is not a picture that can be shown. Choose a JPEG, PNG or WebP.", 0);
  });
  const side = Math.min(bitmap.width, bitmap.height);
  const canvas = el("canvas");
  canvas.width = canvas.height = Math.min(SIDE_PX, side);
  canvas.getContext("2d").drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, canvas.width, canvas.width);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
  return new File([blob], "picture.jpg", { type: "image/jpeg" });
}

/** → the id of the file that can be a picture. */
export async function uploadPicture(session, file) {
  const picture = await square(file);
  const keepsNothing = { keepUpload() {}, forgetUpload() {}, pauseUpload() {} };
  return new Promise((done, fail) => {
    const upload = new Upload(session, keepsNothing, {}, picture, () => {
      if (upload.state === "failed") fail(new ApiError(0, "upload", upload.why, 0));
    }, done, { type: "image" });
    upload.run();
  });
}
