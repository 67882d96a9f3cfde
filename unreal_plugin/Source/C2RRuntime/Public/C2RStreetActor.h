// The sample: a low-poly street of boxes, cylinders and balls. Drop one into an empty level.
#pragma once

#include "CoreMinimal.h"
#include "GameFramework/Actor.h"

#include "C2RStreetActor.generated.h"

class UInstancedStaticMeshComponent;
class UMaterialInterface;
class UStaticMesh;

/** Rebuilds its street when its values change; the same seed gives the same street. */
UCLASS(meta = (DisplayName = "C2R Low-Poly Street"))
class C2RRUNTIME_API AC2RStreetActor : public AActor
{
	GENERATED_BODY()

public:
	AC2RStreetActor();
	virtual void OnConstruction(const FTransform& Transform) override;

	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "C2R", meta = (ClampMin = "0"))
	int32 Seed = 7;

	/** Metres. */
	UPROPERTY(EditAnywhere, BlueprintReadWrite, Category = "C2R", meta = (ClampMin = "20", ClampMax = "500"))
	double Length = 120.0;

	/** Builds the street again, after Seed or Length were set in play. */
	UFUNCTION(BlueprintCallable, Category = "C2R")
	void Rebuild();

private:
	UInstancedStaticMeshComponent* MakeGroup(int32 Shape, int32 Tone);

	UPROPERTY()
	TObjectPtr<UStaticMesh> Box;

	UPROPERTY()
	TObjectPtr<UStaticMesh> Cylinder;

	UPROPERTY()
	TObjectPtr<UStaticMesh> Ball;

	UPROPERTY()
	TObjectPtr<UMaterialInterface> BaseMaterial;

	UPROPERTY(Transient)
	TArray<TObjectPtr<UInstancedStaticMeshComponent>> Groups;
};
