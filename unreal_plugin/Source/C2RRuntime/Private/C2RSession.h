// One session with a renderer: the native client in Unreal's types. The client's I/O thread does the
// networking; no call here waits for it.
#pragma once

#include "C2RTypes.h"
#include "CoreMinimal.h"

#include "c2r_client.h"

class UC2RSettings;

/** A picture, blue first, packed; shared with the render thread while it is uploaded. */
struct FC2RPicture
{
	TArray<uint8> Pixels;
	uint64 FrameId = 0;
	uint64 CaptureUs = 0;
};
using FC2RPictureRef = TSharedPtr<FC2RPicture, ESPMode::ThreadSafe>;

/** Submit may be called from any thread; everything else belongs to the game thread. */
class FC2RSession
{
public:
	/** Starts to connect. Null, with the reason in `Problem`, when the settings cannot be used. */
	static TSharedPtr<FC2RSession, ESPMode::ThreadSafe> Open(const UC2RSettings& Settings, const FString& Address, const FString& Token, FString& Problem);

	~FC2RSession();
	FC2RSession(const FC2RSession&) = delete;
	FC2RSession& operator=(const FC2RSession&) = delete;

	/** Copies the frame and returns; false, with the reason, when the client refuses it. */
	bool Submit(const c2r_frame& Frame, FString& Problem);

	/** Reads outcomes; pictures, at most so many, go to `Show`. Faults of single frames are logged. */
	void Poll(int32 Most, TFunctionRef<void(FC2RPictureRef)> Show);

	/** Reads events: warnings of the server and answers to changes. */
	void PollEvents(TFunctionRef<void(const c2r_event&)> Handle);

	/** Empty when accepted, else why not. Unset values stay. */
	FString Change(const FString* Prompt, const FString* NegativePrompt, const double* Strength, const int64* Seed);

	void ReportShown(const FC2RPicture& Picture, double BufferMs);

	/** Ends the session politely; the state becomes Closed within a second. */
	void BeginClose();

	FC2RStatus GetStatus() const;
	FC2RStatistics GetStatistics() const;

	const FIntPoint Size;
	const uint32 SideChannels;

private:
	FC2RSession(c2r_client* InClient, FIntPoint InSize, uint32 InSideChannels);

	c2r_client* Client;
};
using FC2RSessionPtr = TSharedPtr<FC2RSession, ESPMode::ThreadSafe>;
