/* SPDX-License-Identifier: MIT */
/*
 * sinks/media/role.h - the role `media`: each MediaReady of chat.events is looked into by
 * chasqui-thumbnail, and what is found enters the log by ingest as MediaProcessed. Sweeps uploads
 * that nobody finished.
 */
#pragma once

/** Runs until *stop or a fatal status; the exit code. Settings are loaded. */
int media_role_run(const volatile int *stop);
